-- How often each probe and each model is among the runs of a cohort: at most 64
-- names of each, or 64 groups of them. A cohort that was there already counts
-- the runs that it gets from here on.

ALTER TABLE cohorts ADD COLUMN probes {{.Bytes}};
ALTER TABLE cohorts ADD COLUMN models {{.Bytes}};
