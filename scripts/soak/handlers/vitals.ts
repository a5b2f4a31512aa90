// The open resources of this worker, by kind.
export default (): Response =>
  Response.json({ pid: process.pid, resources: process.getActiveResourcesInfo() });
