drop table job_schedules;
drop table jobs;
drop sequence job_fences;
