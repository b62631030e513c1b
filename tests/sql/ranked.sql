-- The ranks of the demonstration's events, by the default settings. Otherwise the worker of each test would compute them,
-- which takes it longer than most tests.
select app.rank_events(1000000, '{
  "half_life_hours": 24, "per_host": 3, "actions_a_day": 100, "network_an_hour": 10, "cohort_an_hour": 10,
  "new_account_days": 3, "new_account_percent": 20,
  "weights": {"view": 0.1, "like": 1, "follow": 1, "rsvp": 2, "ticket": 4, "share": 1.5, "check_in": 2}}');
