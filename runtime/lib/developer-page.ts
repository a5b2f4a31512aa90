/** An answer for the developer, as text and as a page. */
export interface DeveloperPage {
  /** Text for the terminal; ends with a line feed. */
  text: string;
  /** Title of the page; plain text. */
  title: string;
  /** Content of the page; HTML. */
  content: string;
}

/** The reason for which a reload was refused, for the developer. */
export interface HandlerProblem extends DeveloperPage {
  /** Value of the field `x-edgicorn-stale`, in ASCII. */
  stale: string;
}
