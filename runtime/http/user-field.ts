/** Field in which a handler finds the name of the user that the server has checked. No client can send it. */
export const USER_FIELD = "x-edgicorn-user";
