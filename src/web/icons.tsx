/** @jsxRuntime automatic @jsxImportSource hono/jsx */
/** The mark of Portolan: an eight-pointed compass rose. Decorative: the word beside it carries the name. */
export function Rose() {
  return (
    <svg viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <circle cx="16" cy="16" r="12" fill="none" stroke="currentColor" stroke-width="1" opacity="0.45" />
      <polygon
        points="23.07,8.93 19.10,16.00 23.07,23.07 16.00,19.10 8.93,23.07 12.90,16.00 8.93,8.93 16.00,12.90"
        fill="currentColor"
        opacity="0.45"
      />
      <polygon points="16.00,0.50 18.33,13.67 31.50,16.00 18.33,18.33 16.00,31.50 13.67,18.33 0.50,16.00 13.67,13.67" fill="currentColor" />
    </svg>
  );
}

export type Mark = "full" | "half" | "ring" | "dots" | "check" | "cross";

/** Shapes that differ without colour; always beside the word that they stand for. */
export function MarkIcon({ mark }: { readonly mark: Mark }) {
  return (
    <svg viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      {shapeOf(mark)}
    </svg>
  );
}

function shapeOf(mark: Mark) {
  switch (mark) {
    case "full":
      return <circle cx="8" cy="8" r="7" fill="currentColor" />;
    case "half":
      return (
        <>
          <circle cx="8" cy="8" r="6" fill="none" stroke="currentColor" stroke-width="2" />
          <path d="M8 2a6 6 0 0 0 0 12z" fill="currentColor" />
        </>
      );
    case "ring":
      return <circle cx="8" cy="8" r="6" fill="none" stroke="currentColor" stroke-width="2" />;
    case "dots":
      return <circle cx="8" cy="8" r="6" fill="none" stroke="currentColor" stroke-width="2" stroke-dasharray="2.6 2.1" />;
    case "check":
      return <path d="M2 8.5 6.2 13 14 3.5" fill="none" stroke="currentColor" stroke-width="2.4" />;
    case "cross":
      return <path d="M3 3l10 10M13 3 3 13" fill="none" stroke="currentColor" stroke-width="2.4" />;
  }
}
