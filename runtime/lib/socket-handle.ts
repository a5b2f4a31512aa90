/** A socket of Node without the object around it. Node sends it to another process, but its types leave it out. */
export interface SocketHandle {
  readonly fd: number;
  close(): void;
}
