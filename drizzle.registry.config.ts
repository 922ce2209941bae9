import { defineConfig } from "drizzle-kit";

export default defineConfig({
  dialect: "turso",
  schema: "./src/registry/schema.ts",
  out: "./migrations/registry",
  dbCredentials: { url: "http://127.0.0.1:8080" },
});
