/**
 * An address as masscan printed it, whole again; anything else comes back as it is. Where an IPv6 address ends in zeros, masscan 1.3.2 reads
 * two bytes behind it while it looks for the end of the zeros; when these happen to be zero (seen on the first line of every run) it leaves
 * out the last colon and prints `2001:db8::` as `2001:db8:`. No address has a single colon at its end, so the text still has one meaning only.
 */
export function wholeAddress(text: string): string {
  return /(?:^|[^:]):$/.test(text) ? `${text}:` : text;
}
