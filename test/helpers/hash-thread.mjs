// The thread of runtime/auth/password-checks.ts, from source: threads do not inherit the loader of TypeScript.
import { register } from "tsx/esm/api";

register();
await import("../../runtime/auth/hash-thread.ts");
