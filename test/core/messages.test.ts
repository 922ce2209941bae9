import { expect, test } from "vitest";
import { seedSchema } from "../../src/core/messages/common.ts";

test("seeds that masscan would silently replace are refused", () => {
  for (const seed of ["0", "-1", "0x10", "18446744073709551616", "", "<2", "1.5"]) expect(seedSchema.safeParse(seed).success).toBe(false);
  for (const seed of ["1", "18446744073709551615"]) expect(seedSchema.safeParse(seed).success).toBe(true);
});
