local common = require("common")
local ids, headers = common.ids(), common.headers("application/merge-patch+json")
headers["If-Match"] = "*"
math.randomseed(os.time())
request = function()
  return wrk.format("PATCH", "/events/" .. ids[math.random(#ids)], headers, '{"title":"Title ' .. math.random(1000000) .. '"}')
end
done = common.done
