/** Methods that a resource of this server may have. For the `Allow` field of a 405 (RFC 9110 section 15.5.6). */
export const ALLOW = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

const FIELDS = "content-type\ntext/plain;charset=UTF-8";
const FIELDS_OF_405 = `${FIELDS}\nallow\n${ALLOW}`;

/** Returns the field block of the answer to a head that is refused. */
export function refusalFields(status: number): string {
  return status === 405 ? FIELDS_OF_405 : FIELDS;
}
