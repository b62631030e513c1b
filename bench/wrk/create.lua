local common = require("common")
local headers = common.headers("application/json")
local file = io.open((os.getenv("BENCH_IDS"):gsub("ids.txt", "create.json")))
local body = file:read("*a")
file:close()
math.randomseed(os.time())
-- Each request has a unique slug; the rest of the body is the same.
request = function()
  local slug = string.format("bench-%d-%d", math.random(2000000000), math.random(2000000000))
  return wrk.format("POST", "/institutions", common.next(headers), (body:gsub("SLUG", slug)))
end
done = common.done
