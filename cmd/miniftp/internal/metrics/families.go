package metrics

// family is a metric with all its labels.
type family struct {
	name, kind, help string
	single           bool // a gauge without labels, whose value is found out when it is scraped
}

const (
	counter   = "counter"
	gauge     = "gauge"
	histogram = "histogram"
	summary   = "summary"
)

// families describes the metrics, those of the process from the library included. What is not in the table is not
// exposed. docs/metrics.md has the same table.
var families = []family{
	{name: "miniftp_build_info", kind: gauge, help: "1; the labels are the versions of miniftp and of Go."},
	{name: "miniftp_draining", kind: gauge, single: true, help: "1 if the server admits no new sessions and ends with the last one, else 0."},

	{name: "miniftp_sessions", kind: gauge, help: "Sessions, by whether a user is logged in, and whether the control connection is under TLS."},
	{name: "miniftp_sessions_opened_total", kind: counter, help: "Sessions that were admitted."},
	{name: "miniftp_session_duration_seconds", kind: histogram, help: "How long sessions that have ended lasted."},
	{name: "miniftp_logins_total", kind: counter, help: "Logins, by result and the reason of a failure."},
	{name: "miniftp_auth_answers_total", kind: counter, help: "Logins that a program or web service was to decide, by source and result; skipped means that it was not asked, because it is down."},
	{name: "miniftp_auth_source_up", kind: gauge, help: "1, or 0 while the source of logins is not asked, because it has failed several times in a row."},
	{name: "miniftp_bans", kind: gauge, single: true, help: "Bans in force, of addresses and of users at addresses."},
	{name: "miniftp_refusals_total", kind: counter, help: "Refused connections, logins, commands and data connections, by reason and the setting that decides."},
	{name: "miniftp_certificate_expiry_timestamp_seconds", kind: gauge, help: "When each certificate of the server ends, in seconds since 1970."},
	{name: "miniftp_quota_used_bytes", kind: gauge, help: "What users with a quota have used of it, in bytes."},
	{name: "miniftp_quota_limit_bytes", kind: gauge, help: "The quotas of users in bytes."},
	{name: "miniftp_quota_used_files", kind: gauge, help: "How many files users with a quota have."},
	{name: "miniftp_quota_limit_files", kind: gauge, help: "The quotas of users in files."},
	{name: "miniftp_tls_handshakes_total", kind: counter, help: "Successful TLS handshakes, by connection, version and whether they resumed a session."},

	{name: "miniftp_commands_total", kind: counter, help: "Commands received."},
	{name: "miniftp_replies_total", kind: counter, help: "Replies sent, by code."},
	{name: "miniftp_reply_duration_seconds", kind: histogram, help: "Time from a command to its first reply."},
	{name: "miniftp_changes_total", kind: counter, help: "Commands that change files, by verb and result; uploads only if they were refused at once."},

	{name: "miniftp_transfers_total", kind: counter, help: "Transfers that have ended, by direction, result, stance of the server and TLS."},
	{name: "miniftp_transfers_running", kind: gauge, help: "Transfers that are running, by direction."},
	{name: "miniftp_transfer_bytes_total", kind: counter, help: "Bytes on data connections, those of running transfers included."},
	{name: "miniftp_transfer_duration_seconds", kind: histogram, help: "How long transfers took."},
	{name: "miniftp_data_connections_total", kind: counter, help: "Data connections, by outcome and stance of the server."},
	{name: "miniftp_data_connection_open_seconds", kind: histogram, help: "Time until a data connection was open, since the server began to wait or to dial."},
	{name: "miniftp_passive_ports", kind: gauge, single: true, help: "Ports of --passive-ports; 0 means any free port."},
	{name: "miniftp_passive_ports_in_use", kind: gauge, single: true, help: "Passive ports that sessions have for a data connection, which is open or expected."},
	{name: "miniftp_passive_port_leases", kind: gauge, single: true, help: "Data connections that have a passive port. They are more than the ports in use if sessions share ports."},
	{name: "miniftp_passive_ports_waiting", kind: gauge, single: true, help: "Sessions that wait for a passive port."},

	{name: "miniftp_hook_events_pending", kind: gauge, single: true, help: "Events that a receiver of --hook has not got yet."},
	{name: "miniftp_hook_oldest_event_seconds", kind: gauge, single: true, help: "Age of the oldest of them; 0 if there are none."},
	{name: "miniftp_hook_deliveries_total", kind: counter, help: "Tries to deliver an event, by result; an event that was given up counts as a failed try, too."},

	{name: "go_info", kind: gauge, help: "1; the label is the version of Go."},
	{name: "go_goroutines", kind: gauge, help: "Goroutines."},
	{name: "go_threads", kind: gauge, help: "Threads of the Go runtime."},
	{name: "go_gomaxprocs", kind: gauge, help: "Threads that run Go code at once."},
	{name: "go_gc_duration_seconds", kind: summary, help: "Pauses of the garbage collector."},
	{name: "go_gc_cpu_seconds_total", kind: counter, help: "Processor time of the garbage collector."},
	{name: "go_memlimit_bytes", kind: gauge, help: "The limit of GOMEMLIMIT."},
	{name: "go_memstats_alloc_bytes_total", kind: counter, help: "Bytes allocated on the heap since the start."},
	{name: "go_memstats_mallocs_total", kind: counter, help: "Objects allocated on the heap since the start."},
	{name: "go_memstats_frees_total", kind: counter, help: "Objects freed on the heap since the start."},
	{name: "go_memstats_heap_inuse_bytes", kind: gauge, help: "Bytes of the heap in spans that are in use."},
	{name: "go_memstats_heap_released_bytes", kind: gauge, help: "Bytes of the heap that were given back to the system."},
	{name: "go_memstats_stack_inuse_bytes", kind: gauge, help: "Bytes of stacks."},
	{name: "go_memstats_next_gc_bytes", kind: gauge, help: "Size of the heap at which the next garbage collection begins."},
	{name: "go_memstats_sys_bytes", kind: gauge, help: "Bytes that Go got from the system."},
	{name: "process_cpu_seconds_total", kind: counter, help: "Processor time, of user and system."},
	{name: "process_resident_memory_bytes", kind: gauge, help: "Memory that is resident."},
	{name: "process_virtual_memory_bytes", kind: gauge, help: "Memory that is mapped."},
	{name: "process_open_fds", kind: gauge, help: "Open file descriptors."},
	{name: "process_max_fds", kind: gauge, help: "The limit on file descriptors."},
	{name: "process_start_time_seconds", kind: gauge, help: "When the process started, in seconds since 1970."},
}

var familyNamed = func() map[string]*family {
	all := map[string]*family{}
	for i := range families {
		all[families[i].name] = &families[i]
	}
	return all
}()
