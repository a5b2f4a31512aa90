-- The request of wrk: wrk --script request.lua URL -- METHOD BODY [NAME VALUE]...
-- wrk adds Host and, for a body, Content-Length.
function init(args)
  wrk.method = args[1]
  if args[2] ~= "" then
    wrk.body = args[2]
  end
  for i = 3, #args, 2 do
    wrk.headers[args[i]] = args[i + 1]
  end
end
