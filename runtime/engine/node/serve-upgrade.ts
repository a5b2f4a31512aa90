import type { ServedCertificate } from "../engine.ts";
import type { NodeListenerContext } from "./listener-context.ts";
import type { NodeClient, UpgradeRequest } from "./node-client.ts";

/**
 * Hands over a request for a WebSocket, which its responder may accept. The first one of a listener waits until the package
 * `ws` is loaded: bytes of the client may follow at once.
 */
export function serveUpgrade(
  client: NodeClient,
  request: UpgradeRequest,
  context: NodeListenerContext,
  certificate: ServedCertificate | null,
): void {
  const { ownOrigin } = context.heads;
  const serve = (): void => {
    try {
      const frames = context.frames.loaded;
      if (client.finished || frames === null) return;
      client.offerWebSocket(request, frames);
      context.onRequest(client, certificate, ownOrigin);
    } catch (error) {
      context.onError(error);
      client.refuse(500);
    }
  };
  if (context.frames.loaded !== null) {
    serve();
    return;
  }
  context.frames.load().then(serve, (error: unknown) => {
    context.onError(error);
    client.refuse(500);
  });
}
