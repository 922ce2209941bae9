/** What the tests inside workerd use of the platform. */
declare module "cloudflare:workers" {
  export const exports: {
    /** The worker under test. */
    readonly default: {
      fetch(request: Request): Promise<Response>;
      scheduled(controller: { readonly cron: string; readonly scheduledTime: Date }): Promise<void>;
    };
  };
}
