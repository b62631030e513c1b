local common = require("common")
local headers = common.headers()
local cities = {}
for line in io.lines((os.getenv("BENCH_IDS"):gsub("ids.txt", "cities.txt"))) do cities[#cities + 1] = line end
math.randomseed(os.time())
request = function()
  return wrk.format("GET", "/institutions?city_id=" .. cities[math.random(#cities)] .. "&sort=name&limit=20", headers)
end
done = common.done
