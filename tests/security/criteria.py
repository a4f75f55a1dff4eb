"""What the service promises of confidentiality, what proves it, and what shows that the proof can fail.

Data for `make security`, which numbers them in this order, and for docs/threat-model.md.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Criterion:
    """One promise. Proofs and controls are names of tests: `path::name`, all parameters included."""

    promise: str
    taken: str
    """How the figure is taken."""
    proofs: tuple[str, ...]
    controls: tuple[str, ...]
    """With the guard removed, the attack succeeds or the check fails: what the proofs look for can be found."""


RACES: Final = "tests/repository/test_races.py"
HISTORIES: Final = "tests/security/test_concurrent_histories.py"
CHECKER: Final = "tests/security/test_linearizability.py"
RETRIES: Final = "tests/http/test_idempotency.py"
CRASHES: Final = "tests/contract/crashes.py"
ROW_SECURITY: Final = "tests/database/test_row_security.py"
WITHOUT_ROW_SECURITY: Final = "tests/security/without_row_security.py"
SEALED: Final = "tests/scenarios/test_sealed_answers.py"
AUDIENCES: Final = "tests/scenarios/test_audiences.py"
REPORTS: Final = "tests/scenarios/test_mandatory_reports.py"
CANARIES: Final = "tests/security/test_canaries.py"
DUMP: Final = "tests/database/test_dump.py"
KEY_ROTATION: Final = "tests/database/test_key_rotation.py"
TOKENS: Final = "tests/auth/test_tokens.py"
KEYS: Final = "tests/auth/test_identity_provider.py"
MATRIX: Final = "tests/routers/test_matrix.py"
EMPTYING: Final = "tests/repository/test_retention.py"
RETENTION: Final = "tests/scenarios/test_retention.py"
LIMITS: Final = "tests/http/test_rate_limits.py"
PROBES: Final = "tests/routers/test_probes.py"
HTTP: Final = "tests/http/test_middleware.py"
PROXY: Final = "tests/security/proxy.py"
TIMING: Final = "tests/security/timing.py"
BULKHEAD: Final = "tests/routers/test_bulkhead.py"
CHAINS: Final = "tests/repository/test_audit_verification.py"
CONSTRAINTS: Final = "tests/database/test_constraints.py"
AUTHORITY: Final = "tests/promises/test_authority.py"
BEHIND_AUTHORITY: Final = "tests/promises/test_authority_constraints.py"
BOOKINGS: Final = "tests/promises/test_bookings.py"
CONTACT: Final = "tests/promises/test_contact_attempts.py"
ATTEMPTS: Final = "tests/promises/test_attempts.py"
CATEGORIES: Final = "tests/promises/test_report_categories.py"
SIGNED: Final = "tests/promises/test_signed_text.py"
READINGS: Final = "tests/scenarios/test_access_log.py"
IDENTITY: Final = "tests/promises/test_identity.py"
GUARDS: Final = "tests/promises/test_identity_guards.py"
IDENTITY_RACES: Final = "tests/promises/test_identity_races.py"
LOG: Final = "tests/promises/test_log.py"
CLI: Final = "tests/cli/test_main.py"
ERASURE: Final = "tests/promises/test_erasure.py"
STRANGERS: Final = "tests/promises/test_strangers.py"
WEAK_SETTINGS: Final = "tests/promises/test_settings_that_weaken.py"
ORDER: Final = "tests/promises/test_order.py"
STARVATION: Final = "tests/promises/starvation.py"
PARTS: Final = "tests/promises/test_parts.py"
WHO_SEES_WHAT: Final = "tests/promises/test_who_sees_what.py"

RECORD: Final = "tests/promises/test_record.py"

CRITERIA: Final = (
    Criterion(
        "An acknowledged withdrawal is never lost to anybody else's work at the same moment.",
        "200 races with each opponent on real commits; what was acknowledged is looked for afterwards.",
        (
            f"{RACES}::test_a_withdrawal_is_not_lost_to_the_start_of_a_session",
            f"{RACES}::test_a_withdrawal_is_not_lost_to_a_consent",
            f"{RACES}::test_a_withdrawal_is_not_lost_to_the_answer_of_another",
            f"{RACES}::test_a_withdrawal_is_not_lost_to_a_booking",
            f"{RACES}::test_a_withdrawal_and_a_close_never_both_happen",
        ),
        (f"{RACES}::test_without_the_lock_of_the_case_the_race_would_tell",),
    ),
    Criterion(
        "Whatever several clients do to one case at once, all of them were answered as if they had come one by one.",
        "Four clients on one case with real commits; one order has to explain all answers (Wing and Gong).",
        (
            f"{HISTORIES}::test_what_four_clients_were_told_at_once_reads_as_one_after_the_other",
            f"{CHECKER}::test_a_history_that_one_order_explains_passes",
            f"{RACES}::test_who_signs_while_leaving_has_signed_or_is_shown_nothing",
        ),
        (
            f"{HISTORIES}::test_a_planted_fault_is_found_within_a_minute",
            f"{CHECKER}::test_a_history_that_no_order_explains_is_found",
        ),
    ),
    Criterion(
        "A retry with the same key gets the first answer byte for byte, and nothing happens twice.",
        "Answers compared; twelve at once; writers retried over kills of the service (-9).",
        (
            f"{RETRIES}::test_a_retry_gets_the_first_answer_byte_for_byte",
            f"{RETRIES}::test_a_key_used_for_another_body_is_refused",
            f"{RETRIES}::test_another_caller_and_another_operation_have_keys_of_their_own",
            f"{RETRIES}::test_of_twelve_at_once_one_happens_and_all_get_its_answer",
            f"{CRASHES}::test_after_a_kill_each_key_has_had_one_effect_and_keeps_its_answer",
        ),
        (f"{CRASHES}::test_without_the_same_key_a_retry_happens_twice",),
    ),
    Criterion(
        "Each operation does for each role and each object what the table of access says, and nothing else.",
        "Every operation of the contract as everybody, for own, another party's, another case's, absent and closed.",
        (
            f"{MATRIX}::test_every_operation_of_the_contract_is_declared_and_nothing_else",
            f"{MATRIX}::test_what_comes_of_a_request_is_what_the_table_says",
        ),
        (
            f"{MATRIX}::test_an_operation_without_a_row_is_seen",
            f"{MATRIX}::test_a_role_that_is_taken_out_of_a_row_is_seen",
            f"{MATRIX}::test_a_role_that_is_put_into_a_row_is_seen",
            f"{MATRIX}::test_a_relation_that_is_widened_is_seen",
        ),
    ),
    Criterion(
        "What is foreign and what does not exist are answered alike, headers included, and as fast.",
        "The answers of the matrix byte by byte, but for the request's id and the date. Requests in turns, in random "
        "order: medians of the processor's time in service and database, and of the clock's, with 95 % intervals.",
        (
            f"{MATRIX}::test_what_comes_of_a_request_is_what_the_table_says",
            f"{AUDIENCES}::test_what_is_foreign_is_answered_as_what_does_not_exist",
            f"{TIMING}::test_what_is_foreign_takes_as_long_as_what_does_not_exist",
        ),
        (
            f"{MATRIX}::test_a_gate_that_is_told_to_some_alone_and_a_difference_to_what_is_absent_are_seen",
            f"{TIMING}::test_a_look_at_what_is_foreign_would_be_seen",
        ),
    ),
    Criterion(
        "With every condition of the access scope off, the database shows a party no foreign row or foreign column; "
        "with the row policies of the database off, the access scope shows nothing more either.",
        "All that each party's role can read of every table, against what is the party's by a reckoning of its own; "
        "and every scenario, played without the policies.",
        (
            f"{ROW_SECURITY}::test_a_party_sees_its_own_rows_and_no_others",
            f"{ROW_SECURITY}::test_every_table_has_forced_row_policies_or_a_reason",
            "tests/database/test_roles.py::test_the_grants_are_those_of_the_snapshot",
            f"{ROW_SECURITY}::test_a_party_is_granted_nothing_but_to_read",
            f"{ROW_SECURITY}::test_with_the_checks_of_the_domain_off_the_repository_reads_nothing_foreign",
            f"{WITHOUT_ROW_SECURITY}::test_every_scenario_holds_without_row_policies",
        ),
        (
            f"{ROW_SECURITY}::test_a_policy_that_is_widened_shows_foreign_rows",
            f"{ROW_SECURITY}::test_a_policy_that_is_taken_away_shows_nothing",
            f"{ROW_SECURITY}::test_without_the_wall_they_would",
            f"{WITHOUT_ROW_SECURITY}::test_a_condition_that_is_left_out_is_seen",
        ),
    ),
    Criterion(
        "Each audience gets the fields that are listed for it, and no word of another party.",
        "Names of the fields of each answer, by role and state; every personal word of the others looked for.",
        (
            f"{AUDIENCES}::test_every_audience_gets_exactly_its_fields",
            f"{AUDIENCES}::test_no_personal_word_of_another_reaches_a_party_in_any_state",
            f"{REPORTS}::test_no_party_sees_a_byte_of_it",
            f"{REPORTS}::test_nobody_else_of_the_office_sees_a_byte_of_it",
        ),
        (f"{ROW_SECURITY}::test_without_the_wall_they_would", f"{REPORTS}::test_the_comparison_would_tell"),
    ),
    Criterion(
        "Whether somebody agreed, declined or has not answered cannot be told apart by anybody else.",
        "The same story in each of these worlds; bodies and headers of all that the other may ask, byte by byte. AUC "
        "of the times of requests in turns, in random order.",
        (
            f"{SEALED}::test_a_complainant_s_answer_shows_to_no_other_complainant",
            f"{SEALED}::test_officers_who_are_not_asked_yet_see_nothing_at_all_of_complainants_answers",
            f"{SEALED}::test_an_officer_s_answer_shows_to_nobody_while_another_is_still_asked",
            f"{SEALED}::test_a_complainant_who_leaves_learns_nothing_of_what_another_answered",
            f"{SEALED}::test_not_mediated_tells_a_party_neither_who_nor_why",
            f"{TIMING}::test_time_tells_nothing_of_what_another_answered",
        ),
        (
            f"{SEALED}::test_one_header_that_counts_answers_would_be_seen",
            f"{TIMING}::test_work_that_depends_on_an_answer_would_be_seen",
        ),
    ),
    Criterion(
        "What identifies or tells is in no log, no error, no event and no export.",
        "A story with a value in every sealed column, with refusals and faults; each value looked for in each place.",
        (f"{CANARIES}::test_no_value_of_a_person_is_anywhere_but_in_its_column",),
        (f"{CANARIES}::test_with_the_texts_of_errors_logged_they_would_be_found",),
    ),
    Criterion(
        "A dump holds ciphertext where people are named or tell something; keys rotate while requests run.",
        "Every row of every table as text, and the statistics; readers and writers beside the rotation.",
        (
            f"{DUMP}::test_a_dump_holds_none_of_what_was_planted_in_every_sealed_column",
            "tests/dev/test_demo.py::test_a_dump_holds_nobody_s_name_and_no_narrative",
            f"{KEY_ROTATION}::test_requests_are_served_while_keys_rotate",
        ),
        (f"{DUMP}::test_with_sealing_off_the_same_dump_holds_all_of_it",),
    ),
    Criterion(
        "What has come to the end of its period, or is erased on request, is gone, and the record holds.",
        "The job and the erasure on real commits; what is left in a dump; the chain examined before and after.",
        (
            f"{EMPTYING}::test_at_the_end_nothing_that_tells_of_anybody_is_left_and_the_record_is_whole",
            f"{EMPTYING}::test_terms_go_thirty_days_after_the_close_and_their_hash_still_answers",
            f"{EMPTYING}::test_every_column_for_what_people_write_is_emptied_or_argued",
            f"{RETENTION}::test_two_people_erase_what_is_held_of_a_party_and_the_record_stays",
            f"{EMPTYING}::test_of_a_complaint_under_a_hold_nothing_is_emptied_until_the_last_is_lifted",
        ),
        (f"{EMPTYING}::test_a_text_that_is_gone_without_an_event_is_found",),
    ),
    Criterion(
        "No forged, confused or malformed token opens anything or breaks anything.",
        "A table of attacks, each against the one function that verifies; rotation and an absent provider under load.",
        (
            f"{TOKENS}::test_refused_and_nothing_worse_is",
            f"{TOKENS}::test_the_table_is_as_long_as_criterion_21_wants",
            f"{TOKENS}::test_rotation_of_the_providers_keys_refuses_no_valid_token",
            f"{KEYS}::test_a_storm_of_unknown_kids_asks_at_most_once_a_minute",
        ),
        (
            f"{TOKENS}::test_the_tools_of_the_attacks_make_good_tokens_as_well",
            f"{TOKENS}::test_the_plain_library_falls_over_the_deep_header",
            f"{TOKENS}::test_the_plain_library_takes_a_token_that_never_ends_and_lacks_everything",
        ),
    ),
    Criterion(
        "Of the wrong secrets for one access code at most ten an hour are looked at, over all processes, and neither "
        "answer nor time tells a wrong one from a replaced or an unknown code.",
        "Thirty at once over three processes on one database; those that were looked at are counted. Times as for 12.",
        (
            f"{LIMITS}::test_wrong_codes_are_counted_by_all_processes_and_parallel_ones_too",
            f"{LIMITS}::test_a_code_that_nobody_has_is_counted_like_one_that_somebody_has",
            f"{TIMING}::test_a_wrong_a_replaced_and_an_unknown_code_take_as_long_as_each_other",
        ),
        (
            f"{LIMITS}::test_without_the_count_all_of_them_would_be_looked_at",
            f"{TIMING}::test_a_slower_comparison_of_codes_would_be_seen",
        ),
    ),
    Criterion(
        "No hostile value in any field is an error of the server, is taken against the contract, or is repeated.",
        "Every probe in every field of every operation; `make gate-fuzz` makes up more from the contract.",
        (
            f"{PROBES}::test_no_hostile_value_is_an_error_of_the_server",
            f"{PROBES}::test_the_table_is_long_enough_and_reaches_every_field",
        ),
        (
            f"{PROBES}::test_a_plain_application_fails_on_at_least_ten_probes",
            f"{PROBES}::test_a_planted_fault_is_found",
        ),
    ),
    Criterion(
        "A body over the limit is refused at once, and a thousand of them take no memory.",
        "1,000 requests of 10 MiB, in pieces without a length; resident memory before and after, the slowest answer.",
        (f"{HTTP}::test_a_thousand_bodies_over_the_limit_take_no_memory",),
        (f"{HTTP}::test_without_the_limit_all_of_a_body_is_read",),
    ),
    Criterion(
        "Behind the shipped proxy, slow connections hold nobody up and are cut off; its log tells of nobody.",
        "docs/proxy/nginx.conf before `mediation-api serve`; 500 that never end their headers or body; needs nginx.",
        (
            f"{PROXY}::test_behind_the_proxy_slow_connections_hold_nobody_up",
            f"{PROXY}::test_one_address_holds_no_more_than_its_share",
            f"{PROXY}::test_the_proxy_says_whose_address_it_is_and_keeps_words_out_of_its_logs",
        ),
        (
            f"{PROXY}::test_without_the_proxy_they_are_held",
            f"{PROXY}::test_without_its_limits_the_proxy_holds_them_too",
        ),
    ),
    Criterion(
        "Restarting one process after the other loses no request, and the proxy repeats nothing that may be done.",
        "Two processes of `serve` behind docs/proxy/nginx.conf, four restarts; each request is sent once; needs nginx.",
        (
            f"{PROXY}::test_restarting_one_process_after_the_other_loses_no_request",
            f"{PROXY}::test_what_was_sent_is_repeated_only_if_it_changes_nothing_and_the_log_says_why_it_failed",
        ),
        (f"{PROXY}::test_without_a_next_process_restarts_lose_requests",),
    ),
    Criterion(
        "Every edit of an operative table by an owner of the tables is found by `audit verify`.",
        "Generated from the tables: each column changed, emptied and filled, rows deleted and made up, triggers off.",
        (
            f"{RECORD}::test_every_edit_of_an_operative_table_by_the_owner_is_found",
            f"{RECORD}::test_what_the_review_changed_unseen_is_found",
            f"{RECORD}::test_every_kind_of_event_is_replayed",
            f"{RECORD}::test_few_things_are_not_compared_and_each_has_its_reason",
        ),
        (
            f"{RECORD}::test_without_the_comparison_of_values_the_same_edits_go_unfound",
            f"{RECORD}::test_an_event_that_is_not_replayed_is_noticed",
        ),
    ),
    Criterion(
        "The service's own login cannot set a standing or a closed case back, or change one without its event.",
        "UPDATE as mediation_service on committed cases; without the triggers the same statements pass.",
        (
            f"{RECORD}::test_the_service_cannot_set_a_standing_or_a_closed_case_back",
            f"{RECORD}::test_the_service_changes_no_standing_or_state_without_the_event",
            f"{RECORD}::test_the_database_allows_the_standings_that_the_domain_does",
            f"{RECORD}::test_what_an_office_does_is_what_the_events_say_at_the_end_of_its_transactions",
        ),
        (f"{RECORD}::test_without_the_triggers_the_service_can",),
    ),
    Criterion(
        "Parties are answered while staff exhaust their connections; whoever waits in vain is told 503.",
        "Every connection of the staff's pool held; parties read and withdraw meanwhile.",
        (
            f"{BULKHEAD}::test_parties_are_answered_while_staff_exhaust_their_pool",
            f"{BULKHEAD}::test_staff_are_answered_while_parties_exhaust_theirs",
        ),
        (f"{BULKHEAD}::test_with_one_pool_for_all_they_would_not_be",),
    ),
    Criterion(
        "Events cannot be changed by the service, a change by anybody else is found, each read is recorded.",
        "UPDATE, DELETE and TRUNCATE of each append-only table; 200 changes by the owner with the triggers off.",
        (
            f"{CONSTRAINTS}::test_what_was_acknowledged_cannot_be_changed",
            f"{CHAINS}::test_changes_made_by_the_owner_of_the_tables_are_found_every_one",
            f"{CHAINS}::test_what_is_shown_beside_the_events_is_held_against_them",
            f"{READINGS}::test_each_read_by_staff_a_mediator_or_an_auditor_is_written_down_once",
        ),
        (f"{CHAINS}::test_a_chain_that_was_rewritten_is_found_beside_what_was_exported_before",),
    ),
    Criterion(
        "A part is mediated only for those who agreed, signed and were in a completed session; all else goes back.",
        "Each side declines, withdraws, withdraws after the session, is absent; eight UPDATEs past the service.",
        (
            f"{PARTS}::test_whoever_leaves_goes_back_to_investigation_and_the_office_says_so",
            f"{PARTS}::test_whoever_was_absent_is_not_mediated_and_may_ask_again",
            f"{PARTS}::test_the_database_refuses_what_goes_against_the_rules",
        ),
        (
            f"{PARTS}::test_without_the_triggers_the_database_would_take_all_of_it",
            f"{PARTS}::test_a_command_that_forgets_the_parts_is_refused_by_the_database",
        ),
    ),
    Criterion(
        "What went back shows to parties and to the integration that filed once the case is ready or closed, not why.",
        "A refusal, a withdrawal and neither, read by each; the policy of each table widened and taken away.",
        (
            f"{PARTS}::test_the_office_sees_at_once_that_a_part_went_back_and_nobody_else_before_the_case_is_ready",
            f"{PARTS}::test_an_integration_reads_the_parts_of_what_it_filed_and_not_before_ready",
        ),
        (f"{ROW_SECURITY}::test_a_policy_that_is_widened_shows_foreign_rows",),
    ),
    Criterion(
        "A session starts with everybody who is active and not marked absent: each is there and has signed.",
        "The start without one signature, with and without the mark; the gate taken away.",
        (
            f"{PARTS}::test_whoever_is_active_signs_and_is_there_or_is_marked_absent",
            f"{PARTS}::test_whoever_was_absent_is_offered_another_session_of_the_same_case",
        ),
        (f"{PARTS}::test_a_gate_that_forgets_a_signature_is_held_by_the_database",),
    ),
    Criterion(
        "`agreement_reached` is what the signatures say, and only what was mediated met or missed its target.",
        "Both values with no, one and all signatures; mediated and withdrawn cases before and after the due day.",
        (
            f"{PARTS}::test_whether_an_agreement_was_reached_is_what_the_signatures_say",
            f"{PARTS}::test_only_what_was_mediated_met_or_missed_its_target",
        ),
        (f"{PARTS}::test_without_the_triggers_the_database_would_take_all_of_it",),
    ),
    Criterion(
        "Filing gives one access code, that of who files; everybody else's is issued by the office.",
        "Complaints of two, filed by the public, staff and an integration; who is named by the code that comes back.",
        (
            f"{AUTHORITY}::test_a_public_filer_gets_their_own_code_and_no_other",
            f"{AUTHORITY}::test_who_files_for_several_says_which_of_them_they_are",
            f"{AUTHORITY}::test_who_files_is_one_of_the_complainants",
            f"{AUTHORITY}::test_who_files_in_the_name_of_others_gets_no_code",
            f"{AUTHORITY}::test_the_office_and_an_integration_get_a_code_only_for_whom_they_name",
        ),
        (f"{BEHIND_AUTHORITY}::test_if_a_filer_were_not_asked_for_the_code_would_be_another_complainants",),
    ),
    Criterion(
        "A minor agrees with the consent of a guardian that staff recorded, and never without.",
        "The minor's token, staff, and the database itself; the guardian is replaced in between.",
        (
            f"{AUTHORITY}::test_a_minors_own_token_cannot_say_that_the_guardian_agrees",
            f"{AUTHORITY}::test_a_minor_agrees_with_the_guardians_consent_and_never_without",
            f"{AUTHORITY}::test_staff_cannot_record_a_minors_consent_without_the_guardians_either",
            f"{AUTHORITY}::test_the_consent_of_a_guardian_who_was_replaced_is_not_the_next_ones",
            f"{AUTHORITY}::test_a_minor_declines_and_withdraws_without_a_guardian",
            f"{BEHIND_AUTHORITY}::test_the_database_refuses_what_somebody_may_not_say",
        ),
        (f"{BEHIND_AUTHORITY}::test_without_its_trigger_the_database_would_take_it",),
    ),
    Criterion(
        "Nobody speaks through a channel that is not theirs, and no approval is entered without who gave it.",
        "Each channel, said by staff and mediators, in and outside a session; approvals of a director and of others.",
        (
            f"{AUTHORITY}::test_staff_do_not_speak_through_a_channel_that_is_not_theirs",
            f"{AUTHORITY}::test_a_mediator_speaks_for_a_party_only_of_a_withdrawal_in_the_session",
            f"{AUTHORITY}::test_a_directors_approval_comes_from_a_director",
            f"{AUTHORITY}::test_another_approvers_word_is_entered_with_who_gave_it_when_and_how",
            f"{CONSTRAINTS}::test_the_row_is_refused_by_its_constraint",
        ),
        (f"{CONSTRAINTS}::test_a_good_second_row_is_accepted",),
    ),
    Criterion(
        "A mediator does nothing in a case that was merely proposed, or that they are a party of; nobody decides about "
        "their own assignment.",
        "Every command of a mediator in a proposed case; officers as mediators, by number, token and subject.",
        (
            f"{AUTHORITY}::test_a_mediator_does_nothing_in_a_case_that_was_merely_proposed",
            f"{AUTHORITY}::test_an_officer_of_the_complaint_is_not_proposed_as_its_mediator",
            f"{AUTHORITY}::test_a_mediator_whose_token_is_that_of_a_party_reaches_nothing",
            f"{AUTHORITY}::test_who_answered_as_an_officer_does_not_mediate_the_same_complaint",
            f"{AUTHORITY}::test_the_mediator_of_a_case_is_not_added_to_it_as_an_officer",
            f"{AUTHORITY}::test_a_conflict_that_was_declared_stands_in_the_next_case_of_the_complaint",
            f"{AUTHORITY}::test_nobody_on_the_staff_decides_about_their_own_assignment",
            f"{AUTHORITY}::test_nobody_corrects_their_own_entry_on_the_roster",
            f"{AUTHORITY}::test_one_employee_number_is_one_entry_on_the_roster",
            f"{BEHIND_AUTHORITY}::test_the_database_refuses_a_mediator_who_is_a_party",
        ),
        (
            f"{BEHIND_AUTHORITY}::test_with_the_relation_of_before_a_proposal_would_open_the_case",
            f"{BEHIND_AUTHORITY}::test_without_its_trigger_a_mediator_would_become_a_party",
        ),
    ),
    Criterion(
        "The token of a code that was replaced, or of an erased person, stops at the next request, replays as well.",
        "A read, lists, a command, a correction, a withdrawal and a replay with a token that was good before.",
        (
            f"{AUTHORITY}::test_the_token_of_a_replaced_code_stops_at_the_next_request",
            f"{AUTHORITY}::test_nothing_is_replayed_to_the_token_of_a_replaced_code",
            f"{AUTHORITY}::test_the_token_and_the_code_of_an_erased_person_stop_at_the_next_request",
        ),
        (f"{BEHIND_AUTHORITY}::test_without_the_question_for_the_code_a_token_would_outlive_it",),
    ),
    Criterion(
        "A program that names no scope of this service may do nothing; an unknown scope is refused, whoever bears it.",
        "Tokens without scopes, with an identity provider's own, and with scopes that there are not; every operation.",
        (
            f"{AUTHORITY}::test_an_integration_that_names_no_scope_of_ours_may_do_nothing",
            f"{AUTHORITY}::test_an_unknown_scope_of_ours_is_refused_whoever_bears_it",
            f"{AUTHORITY}::test_a_persons_token_may_carry_what_the_identity_provider_puts_there",
            "tests/routers/test_access.py::test_an_unknown_scope_of_this_service_is_refused_everywhere",
        ),
        (f"{BEHIND_AUTHORITY}::test_if_only_known_scopes_were_looked_at_an_unknown_one_would_say_nothing",),
    ),
    Criterion(
        "An officer has one session at a time, whichever case and mediator it is with.",
        "Eight bookings of one officer at one hour with real commits, three times over.",
        (
            f"{BOOKINGS}::test_of_bookings_of_one_officer_at_one_hour_one_is_accepted",
            f"{BOOKINGS}::test_an_officer_is_not_booked_twice_at_one_time",
            f"{BOOKINGS}::test_an_officer_is_free_again_whatever_became_of_the_session",
        ),
        (
            f"{BOOKINGS}::test_of_bookings_of_one_officer_at_one_hour_one_is_accepted",
            f"{CONSTRAINTS}::test_the_row_is_refused_by_its_constraint",
        ),
    ),
    Criterion(
        "A session has a sensible hour, length and place, and is held at the hour that the record says.",
        "Ten bookings that each break one rule, scheduled and rescheduled; a start three hours early.",
        (
            f"{BOOKINGS}::test_a_session_is_not_booked",
            f"{BOOKINGS}::test_a_session_held_long_before_its_hour_is_rescheduled_first",
            f"{CONSTRAINTS}::test_the_row_is_refused_by_its_constraint",
        ),
        (
            f"{BOOKINGS}::test_without_the_rule_a_session_is_booked_at_night",
            f"{CONSTRAINTS}::test_a_good_second_row_is_accepted",
        ),
    ),
    Criterion(
        "What is signed is the text, its languages and the confidentiality of its terms.",
        "Each of them changed: over HTTP, and in the table by its owner; `audit verify` afterwards.",
        (
            f"{SIGNED}::test_a_change_of_languages_or_confidentiality_is_a_new_text_and_voids_signatures",
            f"{SIGNED}::test_what_an_owner_of_the_tables_changes_around_a_text_is_found",
        ),
        (f"{SIGNED}::test_a_hash_of_the_text_alone_would_not_tell",),
    ),
    Criterion(
        "Nobody lapses as unreachable whom the office has not tried to reach often enough.",
        "Lapses with none and with some of the attempts, in a session, and after a signed resolution.",
        (
            f"{CONTACT}::test_nobody_lapses_whom_nobody_tried_to_reach",
            f"{CONTACT}::test_each_condition_that_is_still_missing_is_named",
            f"{CONTACT}::test_nobody_lapses_as_unreachable_in_a_session_or_after_a_signature_on_a_resolution",
            f"{CONTACT}::test_the_database_records_no_lapse_of_somebody_whom_nobody_tried",
        ),
        (f"{CONTACT}::test_without_the_trigger_the_database_records_it",),
    ),
    Criterion(
        "Nobody is asked again and again, and the refusal tells nothing of what anybody answered.",
        "Requests at once, in time and too often; refusals compared over four ways in which a case ends.",
        (
            f"{ATTEMPTS}::test_whoever_declined_is_not_asked_again_at_once",
            f"{ATTEMPTS}::test_nobody_is_asked_a_fourth_time",
            f"{ATTEMPTS}::test_what_a_party_is_answered_does_not_depend_on_why_the_case_closed",
        ),
        (f"{ATTEMPTS}::test_a_city_without_these_limits_asks_again_at_once",),
    ),
    Criterion(
        "The exception to confidentiality that people are told of is the one that can be recorded.",
        "Texts and reports under three settings; the setting changed between a signature and a report.",
        (
            f"{CATEGORIES}::test_by_default_admissions_of_certain_criminal_acts_alone_can_be_recorded",
            f"{CATEGORIES}::test_the_texts_name_exactly_the_categories_that_can_be_recorded",
            f"{CATEGORIES}::test_a_case_records_no_category_that_its_people_were_not_told_of",
        ),
        (f"{CATEGORIES}::test_without_a_look_at_what_was_signed_it_would_be_recorded",),
    ),
    Criterion(
        "The service logs one structured line per request and one per failure, by default, and nothing of a person.",
        "`mediation-api serve` in production settings and `mediation-api dev` are started, and their output is read.",
        (
            f"{LOG}::test_serve_writes_one_json_line_per_request_and_no_other_access_log",
            f"{CLI}::test_dev_starts_from_nothing_stands_alone_and_keeps_everything_however_it_ends",
            f"{LOG}::test_a_database_that_is_away_is_logged_by_cause_and_route",
            f"{LOG}::test_of_an_exception_the_class_alone_is_logged",
        ),
        (f"{LOG}::test_the_formatter_of_the_standard_library_would_show_it",),
    ),
    Criterion(
        "What somebody who left sees, and which record a command made, follows the order of events, and no clock.",
        "Two hosts on one database, one clock 20 seconds behind; 100 leave while sessions are scheduled and cancelled.",
        (
            f"{ORDER}::test_no_leaver_sees_what_was_scheduled_after_leaving",
            f"{ORDER}::test_who_left_sees_no_session_that_a_host_with_a_clock_behind_scheduled_afterwards",
            f"{ORDER}::test_the_close_is_the_last_that_a_party_sees_whatever_the_clocks_say",
            f"{ORDER}::test_each_command_on_a_case_has_one_version_and_they_follow_each_other",
            f"{ORDER}::test_who_left_is_not_told_that_the_text_was_superseded_afterwards",
            f"{ORDER}::test_an_approval_that_a_host_with_a_clock_behind_records_is_answered_with_itself",
            f"{ORDER}::test_a_screening_that_a_host_with_a_clock_behind_records_is_answered_and_listed_last",
            f"{ORDER}::test_a_reading_is_shown_by_what_was_seen_and_not_by_the_reader_s_clock",
        ),
        (f"{ORDER}::test_by_the_clocks_of_hosts_they_would",),
    ),
    Criterion(
        "No withdrawal is refused or takes longer than a second, whatever others list, check or try meanwhile.",
        "`mediation-api serve`: officers of 250 and 1,000 cases list them eight at once, floods of health checks, "
        "codes and bad tokens beside it, and 1,000 withdrawals.",
        (
            f"{STARVATION}::test_no_withdrawal_is_refused_or_slow_beside_long_lists_and_floods",
            f"{STARVATION}::test_no_withdrawal_is_refused_even_where_lists_take_seconds",
            f"{BULKHEAD}::test_a_withdrawal_is_recorded_while_everybody_else_exhausts_their_pools",
            f"{BULKHEAD}::test_one_caller_holds_a_share_and_others_are_answered",
            f"{BULKHEAD}::test_any_number_of_health_checks_take_one_connection_of_their_own",
        ),
        (
            f"{STARVATION}::test_without_connections_of_their_own_withdrawals_are_refused",
            f"{BULKHEAD}::test_without_a_share_one_caller_holds_them_all",
        ),
    ),
    Criterion(
        "After an erasure nothing gives the data back: no replay of a key, no code, no correction, no dump.",
        "Filed, corrected and erased over HTTP; then each way is tried, and a dump is looked through.",
        (
            f"{ERASURE}::test_a_replay_of_the_filing_tells_nothing",
            f"{ERASURE}::test_neither_does_a_replay_of_what_staff_sent",
            f"{ERASURE}::test_the_code_of_an_erased_party_ends_and_none_is_issued",
            f"{ERASURE}::test_an_erased_party_cannot_be_corrected_back_in",
            f"{ERASURE}::test_neither_can_the_account_that_went_with_it",
            f"{ERASURE}::test_the_purge_by_retention_ends_all_of_it_too",
            f"{ERASURE}::test_the_database_refuses_it_as_well",
            f"{ERASURE}::test_a_dump_holds_nothing_of_it",
        ),
        (
            f"{ERASURE}::test_without_the_emptying_a_replay_gives_the_codes",
            f"{ERASURE}::test_without_the_trigger_the_database_takes_it",
        ),
    ),
    Criterion(
        "Callers without a token share no idempotency keys, and a key that can be guessed is refused.",
        "The filer's key is sent by a stranger with another body; zeros, repeats and sequences are sent as keys.",
        (
            f"{STRANGERS}::test_a_stranger_with_the_same_key_is_given_nothing_of_the_filer",
            f"{STRANGERS}::test_the_database_knows_an_anonymous_caller_by_a_hash_alone",
            f"{STRANGERS}::test_a_key_that_can_be_guessed_is_refused_with_its_rule",
        ),
        (f"{STRANGERS}::test_those_who_bring_a_token_share_a_namespace_with_themselves",),
    ),
    Criterion(
        "Refused tokens count, IPv6 counts by /64, and the limiter never forgets everybody at once.",
        "Over HTTP from addresses of one /64 and of IPv4 written both ways; a thousand callers and one more.",
        (
            f"{STRANGERS}::test_tokens_that_are_refused_count_and_end_in_429",
            f"{STRANGERS}::test_another_address_of_the_same_64_is_no_other_caller",
            f"{STRANGERS}::test_the_limiter_never_forgets_everybody_at_once",
            f"{STRANGERS}::test_no_minute_begins_for_everybody_at_once",
        ),
        (f"{STRANGERS}::test_a_limiter_of_one_window_forgets_them_all",),
    ),
    Criterion(
        "Spellings of an employee number are one officer, and no name is made of what cannot be seen.",
        "Over HTTP: tokens and parties with each spelling; names of invisible characters, and of scripts with joiners.",
        (
            f"{STRANGERS}::test_an_officer_reaches_the_case_however_the_token_spells_the_number",
            f"{STRANGERS}::test_one_officer_is_not_listed_twice_under_two_spellings",
            f"{STRANGERS}::test_a_name_of_invisible_characters_is_refused_by_field_and_rule",
        ),
        (f"{STRANGERS}::test_a_name_of_a_script_that_needs_joiners_is_taken",),
    ),
    Criterion(
        "A setting that weakens the service stops its start, by name.",
        "`mediation-api serve` is started with each weak setting in an otherwise complete production environment.",
        (
            f"{WEAK_SETTINGS}::test_a_setting_that_weakens_stops_the_start_by_name",
            f"{WEAK_SETTINGS}::test_a_database_on_this_machine_or_behind_tls_is_taken",
        ),
        (f"{WEAK_SETTINGS}::test_without_a_weak_setting_it_starts",),
    ),
    Criterion(
        "Whoever leaves, at any moment and in any way, everybody reads what the rules say, and nobody learns more.",
        "Every pair of people, moment and way of leaving over HTTP, read by everybody then and in the end, against a "
        "model that is no part of the service; where it says that nothing shows, the answers byte by byte.",
        (
            f"{WHO_SEES_WHAT}::test_everybody_reads_what_the_model_says",
            f"{WHO_SEES_WHAT}::test_after_each_step_of_any_story_everybody_reads_what_the_model_says",
            f"{WHO_SEES_WHAT}::test_until_the_case_is_ready_nobody_can_tell_who_left_from_who_agreed_or_has_not_answered",
            f"{WHO_SEES_WHAT}::test_nobody_but_the_office_is_told_whether_somebody_declined_withdrew_or_lapsed",
            f"{WHO_SEES_WHAT}::test_somebody_who_left_reads_the_same_whatever_the_others_do",
            f"{WHO_SEES_WHAT}::test_a_part_is_mediated_only_between_people_who_both_stayed",
            f"{WHO_SEES_WHAT}::test_the_page_is_the_one_that_the_model_gives",
        ),
        (
            f"{WHO_SEES_WHAT}::test_a_wrong_rule_of_the_model_is_seen",
            f"{WHO_SEES_WHAT}::test_a_part_that_is_shown_too_early_is_seen",
            f"{WHO_SEES_WHAT}::test_one_header_that_counts_withdrawals_is_seen",
        ),
    ),
    Criterion(
        "Who somebody is stays as they were asked: the wrong party is removed, and signatures keep the names signed.",
        "Each correction over HTTP once the person was asked, and each change in the database by the service's login.",
        (
            f"{IDENTITY}::test_an_officer_who_was_asked_cannot_be_corrected_into_another",
            f"{IDENTITY}::test_who_was_asked_in_an_earlier_case_stays_that_person",
            f"{IDENTITY}::test_a_mediator_who_was_proposed_a_case_cannot_be_corrected_into_another",
            f"{IDENTITY}::test_what_was_signed_keeps_the_names_as_they_were",
            f"{CONSTRAINTS}::test_who_somebody_is_stays_as_it_was_asked",
            f"{CONSTRAINTS}::test_the_name_that_was_signed_is_emptied_and_never_replaced",
        ),
        (
            f"{GUARDS}::test_without_the_rule_an_officer_who_agreed_becomes_somebody_else",
            f"{CONSTRAINTS}::test_who_somebody_is_stays_as_it_was_asked",
        ),
    ),
    Criterion(
        "A removed party's consent, signature and access end, nobody but the office sees it, and no case closes.",
        "Every open state and both sides over HTTP; everything that the removed, and the others, may ask for.",
        (
            f"{IDENTITY}::test_of_a_removed_party_consent_and_access_end_and_the_office_alone_still_sees_it",
            f"{IDENTITY}::test_a_removal_closes_no_case_in_any_open_state",
            f"{IDENTITY}::test_who_was_removed_takes_no_part_in_a_later_case",
            f"{CONSTRAINTS}::test_who_was_removed_stays_removed",
            f"{CHAINS}::test_who_was_removed_or_bound_is_held_against_the_events",
        ),
        (
            f"{GUARDS}::test_without_the_subject_a_number_opens_what_was_the_predecessor_s_and_a_removed_party_s",
            f"{CHAINS}::test_who_was_removed_or_bound_is_held_against_the_events",
        ),
    ),
    Criterion(
        "What a consent rested on does not change under it: it is voided, and its party is asked again.",
        "Allegations, age and guardian changed over HTTP in a case with a session ahead; what others then observe.",
        (
            f"{IDENTITY}::test_other_allegations_void_every_consent_and_everybody_answers_again",
            f"{IDENTITY}::test_whoever_is_found_to_be_a_minor_or_has_another_guardian_answers_again",
            f"{IDENTITY}::test_during_a_session_nothing_is_voided",
            f"{IDENTITY}::test_what_others_observe_of_a_void_consent_does_not_tell_whether_it_was_given_again",
            f"{CONSTRAINTS}::test_an_answer_takes_the_place_of_one_that_was_voided_and_of_none_that_stands",
        ),
        (f"{GUARDS}::test_without_the_rule_consents_stand_though_the_allegations_are_others",),
    ),
    Criterion(
        "What is learnt after screening shuts the gates of scheduling, starting and closing until another one.",
        "Each answer of intake changed over HTTP; every open state from which a case is then found ineligible.",
        (
            f"{IDENTITY}::test_what_is_learnt_after_screening_shuts_the_gates_and_asks_for_another",
            f"{IDENTITY}::test_screened_again_and_eligible_a_case_goes_on_where_it_was",
            f"{IDENTITY}::test_found_ineligible_a_case_closes_wherever_it_was",
            f"{IDENTITY}::test_a_case_is_not_closed_as_mediated_on_an_outdated_screening",
        ),
        (f"{GUARDS}::test_without_the_rule_a_crime_that_is_learnt_shuts_no_gate",),
    ),
    Criterion(
        "An employee number that is handed to another officer opens nothing of the predecessor's.",
        "An answer, a withdrawal or a signature binds the subject; another one with the number asks for all.",
        (
            f"{IDENTITY}::test_a_number_that_is_handed_to_another_opens_nothing_of_the_one_before",
            f"{IDENTITY}::test_what_staff_record_binds_no_subject_but_a_signature_of_ones_own_does",
            f"{IDENTITY}::test_an_identity_that_is_released_is_bound_by_the_next_answer",
        ),
        (f"{GUARDS}::test_without_the_subject_a_number_opens_what_was_the_predecessor_s_and_a_removed_party_s",),
    ),
    Criterion(
        "A withdrawal stands for whoever was the party when it was said.",
        "200 races on real commits with each of a correction of the number, a removal and a release of the identity.",
        (f"{IDENTITY_RACES}::test_a_withdrawal_stands_while_the_party_is_corrected_removed_or_released",),
        (f"{IDENTITY_RACES}::test_found_after_the_wait_for_the_lock_the_party_would_be_gone",),
    ),
)
