import type { Kind } from "./kind.ts";
import { checkAddresses } from "./kinds/check-addresses.ts";
import { applySettings } from "./kinds/apply-settings.ts";
import { answerCors } from "./kinds/answer-cors.ts";
import { chooseLogging } from "./kinds/choose-logging.ts";
import { editReplies } from "./kinds/edit-replies.ts";
import { editRequests } from "./kinds/edit-requests.ts";
import { askService, authenticate, limitConcurrency, limitRate } from "./kinds/gates.ts";
import { pauseForMaintenance } from "./kinds/pause-for-maintenance.ts";
import { proxy } from "./kinds/proxy.ts";
import { redirect } from "./kinds/redirect.ts";
import { redirectToCanonical } from "./kinds/redirect-to-canonical.ts";
import { respond } from "./kinds/respond.ts";
import { rewrite } from "./kinds/rewrite.ts";
import { showErrorPages } from "./kinds/show-error-pages.ts";

/** All kinds of actions, in the order in which a request passes them, not in the order of the rules. */
export const KINDS: readonly Kind[] = [
  chooseLogging,
  editReplies,
  redirectToCanonical,
  answerCors,
  applySettings,
  showErrorPages,
  pauseForMaintenance,
  checkAddresses,
  limitRate,
  limitConcurrency,
  authenticate,
  askService,
  redirect,
  respond,
  editRequests,
  rewrite,
  proxy,
];
