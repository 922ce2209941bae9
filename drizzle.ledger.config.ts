import { defineConfig } from "drizzle-kit";

// drizzle-kit writes the tables; STRICT, WITHOUT ROWID, the view and the triggers are added by hand.
export default defineConfig({ dialect: "turso", schema: "./src/ledger/schema/*.ts", out: "./migrations/ledger" });
