import { certificateSchema } from "../core/certificate/schema.ts";
import { PortolanError } from "../core/errors.ts";
import { type ApiDeps, newApi } from "./context.ts";
import { createRoute, json } from "./define.ts";
import { serviceKeyOf, serviceParams } from "./service-schema.ts";

const why = createRoute({
  method: "get",
  path: "/v1/services/{address}/{protocol}/{port}/why",
  tags: ["services"],
  request: serviceParams,
  responses: { 200: json(certificateSchema, "The certificate: all that made the verdict, to be checked by anybody") },
});

/** Why the register says what it says. */
export function whyRoutes({ ledger }: ApiDeps) {
  return newApi().openapi(why, async (c) => {
    const key = serviceKeyOf(c.req.valid("param"));
    const certificate = await ledger.why(key);
    if (certificate === null) {
      throw new PortolanError(
        "not-found",
        `nobody ever saw ${key.port}/${key.protocol} open at ${key.address}, so there is no verdict to explain; "portolan host show ${key.address}" lists what was seen there`,
      );
    }
    return c.json(certificate, 200);
  });
}
