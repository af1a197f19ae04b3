import { defineConfig } from "vitest/config";

export default defineConfig({
  resolve: { conditions: ["qkd-tls-source", "node"] },
  ssr: { resolve: { conditions: ["qkd-tls-source", "node"] } },
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/build.ts"],
    pool: "forks",
    maxWorkers: "100%",
    testTimeout: 30_000,
    hookTimeout: 60_000,
    coverage: { provider: "v8", include: ["src/**"] },
  },
});
