import { describeReadiness, isReady, type Readiness } from "../observe/readiness.ts";
import { type AdminPage, toText } from "./admin-page.ts";

/** Creates the pages of liveness and readiness probes. With `?verbose`, the latter names each check. */
export function createHealthPages(readiness: () => Readiness): AdminPage[] {
  return [
    {
      path: "/livez",
      methods: ["GET"],
      access: "probe",
      about: "200 while the primary runs",
      answer: () => toText(200, "ok\n"),
    },
    {
      path: "/readyz",
      methods: ["GET"],
      access: "probe",
      about: "200 while each needed pool has a ready worker; ?verbose names them",
      answer({ query }) {
        const now = readiness();
        const isGood = isReady(now);
        const short = isGood ? "ready\n" : "not ready\n";
        const body = query.has("verbose") ? describeReadiness(now) : short;
        return toText(isGood ? 200 : 503, body);
      },
    },
  ];
}
