/** @jsxRuntime automatic @jsxImportSource hono/jsx */
import { Page, type Frame } from "../layout.tsx";
import { paths } from "../paths.ts";

export type LoginPageProps = { readonly frame: Frame; readonly next: string; readonly problem: string | null };

/** A token is the only way in; the browser then keeps it in a cookie that scripts cannot read. */
export function LoginPage({ frame, next, problem }: LoginPageProps) {
  return (
    <Page frame={{ ...frame, signedIn: false }} title="Sign in" section={null}>
      <h1>Sign in</h1>
      <div class="sign-in">
        <p class="lede">With an API token. The first one was printed when Portolan was started for the first time.</p>
        {problem !== null && (
          <div class="problem" id="login-problem" role="alert">
            <p>{problem}</p>
          </div>
        )}
        <form method="post" action={paths.login()}>
          <input type="hidden" name="next" value={next} />
          <input type="text" name="username" value="portolan" autocomplete="username" readonly hidden />
          <div class="field">
            <label for="token">Token</label>
            <input
              id="token"
              name="token"
              type="password"
              autocomplete="current-password"
              required
              spellcheck={false}
              placeholder="ptl_…"
              aria-invalid={problem === null ? undefined : "true"}
              aria-describedby={problem === null ? undefined : "login-problem"}
            />
          </div>
          <button type="submit">Sign in</button>
        </form>
        <h2>No token?</h2>
        <p>Ask an administrator, or make one on the machine that runs Portolan:</p>
        <pre>
          <code>npx portolan token add NAME --role viewer</code>
        </pre>
      </div>
    </Page>
  );
}
