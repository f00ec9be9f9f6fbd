/* What Slurm's commands print: as 22.05 does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "daemon/slurm/slurm_text.h"

static void a_line_of_squeue_is_a_job(void **state) {
    (void)state;
    char text[] = "12|RUNNING|n1|None|run-3.1|cutoutd:5a\n"
                  "13|PENDING||Resources|run-4.1|cutoutd:5a\n"
                  "14_[1-4]|PENDING||Priority|array|(null)\n"
                  "15|RUNNING|n2|None|a|b|c|\n"
                  "squeue: error|x\n";
    char *at = text;
    struct slurm_line line;
    bool good = false;
    assert_true(slurm_read_line(&at, &line, &good));
    assert_true(good);
    assert_string_equal(line.id, "12");
    assert_string_equal(line.state, "RUNNING");
    assert_string_equal(line.node, "n1");
    assert_string_equal(line.name, "run-3.1");
    assert_string_equal(line.comment, "cutoutd:5a");
    assert_true(slurm_read_line(&at, &line, &good));
    assert_string_equal(line.node, "");
    assert_string_equal(line.reason, "Resources");
    /* Of an array: not ours. */
    assert_true(slurm_read_line(&at, &line, &good));
    assert_true(good);
    assert_string_equal(line.id, "");
    assert_string_equal(line.comment, "");
    /* Names of others may hold bars. */
    assert_true(slurm_read_line(&at, &line, &good));
    assert_true(good);
    assert_string_equal(line.comment, "b|c|");
    assert_true(slurm_read_line(&at, &line, &good));
    assert_false(good);
    assert_false(slurm_read_line(&at, &line, &good));
}

static void scontrol_describes_a_job(void **state) {
    (void)state;
    struct slurm_job_record record;
    assert_true(slurm_read_job(
        "JobId=2 JobName=run-3.2 UserId=lab(1000) Nice=1000 JobState=CANCELLED Reason=None "
        "Dependency=(null) Requeue=0 Restarts=1 ExitCode=143:15 RunTime=00:02:30 "
        "ReqNodeList=(null) ExcNodeList=(null) NodeList=n1 BatchHost=n1 Command=/x/job.sh "
        "WorkDir=/ Comment=cutoutd:5a  StdErr=/x/output Power= \n",
        &record));
    assert_string_equal(record.name, "run-3.2");
    assert_string_equal(record.comment, "cutoutd:5a");
    assert_string_equal(record.state, "CANCELLED");
    assert_string_equal(record.reason, "None");
    assert_string_equal(record.node, "n1");
    assert_int_equal(record.exit_code, 143);
    assert_int_equal(record.exit_signal, 15);
    assert_int_equal(record.restarts, 1);
    assert_true(slurm_read_job("JobId=3 JobState=PENDING NodeList=(null)\n", &record));
    assert_string_equal(record.node, "");
    assert_string_equal(record.name, "");
    assert_false(slurm_read_job("", &record));
    assert_false(slurm_read_job("JobId=3 JobName=x\n", &record));
    assert_false(slurm_read_job("JobId=3 JobState=is gone\n", &record));
}

static void sbatch_says_a_number(void **state) {
    (void)state;
    char id[SLURM_ID_SIZE];
    assert_true(slurm_read_submitted("123\n", id));
    assert_string_equal(id, "123");
    assert_true(slurm_read_submitted("124;cluster\n", id));
    assert_string_equal(id, "124");
    assert_false(slurm_read_submitted("", id));
    assert_false(slurm_read_submitted("Submitted batch job 5\n", id));
    assert_false(slurm_read_submitted("5\n6\n", id));
    assert_false(slurm_read_submitted("123456789012345678901234567890\n", id));
}

static void an_end_has_a_cause(void **state) {
    (void)state;
    static const struct {
        const char *state, *reason;
        int exit_code;
        enum slurm_cause cause;
    } ends[] = {
        {"TIMEOUT", "TimeLimit", 0, SLURM_TIME_LIMIT},
        {"PREEMPTED", "None", 0, SLURM_PREEMPTED},
        {"NODE_FAIL", "NodeDown", 1, SLURM_NODE_FAILURE},
        {"OUT_OF_MEMORY", "OutOfMemory", 0, SLURM_OUT_OF_MEMORY},
        {"CANCELLED", "None", 0, SLURM_CANCELED},
        {"FAILED", "NonZeroExitCode", 9, SLURM_LOST},
        {"FAILED", "JobLaunchFailure", 1, SLURM_LAUNCH_FAILURE},
        {"FAILED", "launch failed requeued held", 0, SLURM_LAUNCH_FAILURE},
        {"COMPLETED", "None", 0, SLURM_LOST},
    };
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        assert_true(slurm_is_final(ends[i].state));
        assert_int_equal(slurm_cause_of(ends[i].state, ends[i].reason, ends[i].exit_code),
                         ends[i].cause);
    }
    assert_false(slurm_is_final("COMPLETING"));
    assert_false(slurm_is_final("SUSPENDED"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_of_squeue_is_a_job),
        cmocka_unit_test(scontrol_describes_a_job),
        cmocka_unit_test(sbatch_says_a_number),
        cmocka_unit_test(an_end_has_a_cause),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
