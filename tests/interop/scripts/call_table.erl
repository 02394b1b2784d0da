%% What people and tools call on any node, called on two nodes by rpc, by erpc and by spawn: `differences/2` gives the calls that do not end
%% alike. In what is compared, the node called stands as '$node', its pids as '$pid' and its references as '$ref'; where in a source file an
%% exception was raised is left out. What differs between any two nodes is compared by its shape.
-module(call_table).
-export([differences/2, differences/3, outcomes/2, calls/0, cluster/0]).

differences(One, Other) -> differences(One, Other, calls()).

differences(One, Other, Calls) ->
    [{Call, {One, A}, {Other, B}} || Call <- lists:flatten(Calls), here(Call), {A, B} <- [{outcomes(One, Call), outcomes(Other, Call)}], A =/= B].

%% A call is {Module, Function, Arguments} or {Module, Function, Arguments, View}, or {since, Release, Call}.
calls() -> [
    {erlang, node, []}, {erlang, node, ['$sleeper']}, {erlang, node, ['$self']}, {erlang, node, [1]}, {erlang, node, [1, 2]},
    {erlang, nodes, []}, {erlang, nodes, [hidden]}, {erlang, nodes, [visible]}, {erlang, nodes, [connected]}, {erlang, nodes, [this]},
    {erlang, nodes, [[this, hidden]], sorted}, {erlang, nodes, [[]]}, {erlang, nodes, [foo]}, {erlang, nodes, [[foo]]},
    {since, 25, {erlang, nodes, [hidden, #{node_type => true}]}}, {since, 25, {erlang, nodes, [hidden, #{connection_id => true}], shape}},
    {since, 25, {erlang, nodes, [this, #{connection_id => true, node_type => true}]}},
    {since, 25, {erlang, nodes, [hidden, #{foo => true}]}}, {since, 25, {erlang, nodes, [hidden, x]}},
    {erlang, is_alive, []}, {erlang, self, []}, {erlang, make_ref, []},
    {erlang, send, ['$self', bed_hello]}, {erlang, send, [nobody, x]}, {erlang, send, [1, x]}, {erlang, send, [{nobody, '$node'}, x]}, {erlang, '!', [nobody, x]},
    {erlang, send, [{nobody, nonode@localhost}, x]}, {erlang, send, [{a, 1}, x]}, {erlang, send, ['$sleeper', bed_hello, []]},
    {erlang, send, ['$self', bed_hello, [noconnect]]}, {erlang, send, ['$self', bed_hello, [nosuspend, noconnect]]}, {erlang, send, ['$self', x, [foo]]}, {erlang, send, [nobody, x, []]},
    {erlang, send, [{nobody, untried@localhost}, x, [noconnect]]}, {erlang, send, ['$self', bed_hello, x]}, {erlang, send_nosuspend, ['$self', bed_hello]}, {erlang, send_nosuspend, ['$self', bed_hello, []]},
    {erlang, exit, [x]}, {erlang, exit, [normal]}, {erlang, exit, [{a, "b", <<"c">>}]}, {erlang, exit, [a, b]}, {erlang, exit, ['$sleeper', normal]},
    {erlang, exit, ['$mortal', bye]}, {erlang, exit, ['$mortal', kill]}, {erlang, exit, ['$dead', kill]},
    {erlang, error, [x]}, {erlang, error, [{a, [1]}]}, {erlang, error, [x, [1, 2]]}, {erlang, error, [x, none]}, {since, 24, {erlang, error, [x, [1], [{error_info, #{}}]]}},
    {erlang, throw, [x]}, {erlang, throw, [{a, #{b => 1.5}}]}, {erlang, raise, [error, x, []]}, {erlang, raise, [exit, x, []]}, {erlang, raise, [throw, x, []]}, {erlang, raise, [foo, x, []]},
    {erlang, raise, [error, x, [{m, f, 1, []}]]},
    {erlang, apply, [erlang, node, []]}, {erlang, apply, [erlang, node, x]}, {erlang, apply, [1, 2, []]}, {erlang, apply, [erlang, node, [a | b]]}, {since, 24, {erlang, apply, [fun erlang:node/0, [a | b]]}}, {since, 24, {erlang, apply, [fun erlang:node/0, x]}}, {erlang, apply, [no, where, [1]]},
    {erlang, apply, [fun erlang:node/0, []]}, {erlang, apply, [fun erlang:is_alive/0, []]}, {erlang, apply, [fun no:where/1, [1]]}, {erlang, apply, [foo, []]}, {erlang, apply, [fun erlang:throw/1, [x]]},
    {erlang, whereis, [rex]}, {erlang, whereis, [nobody]}, {erlang, whereis, [1]}, {erlang, whereis, []},
    {erlang, registered, [], {contains, [rex, net_kernel, global_name_server, user]}},
    {erlang, register, [a, b]}, {erlang, register, [undefined, '$sleeper']}, {erlang, register, [rex, '$sleeper']}, {erlang, register, [bed_dead, '$dead']}, {erlang, register, [bed_a, '$self']},
    {seq, [{erlang, register, [bed_name, '$sleeper']}, {erlang, whereis, [bed_name]}, {erlang, register, [bed_name, '$sleeper']},
        {erlang, register, [bed_other, '$sleeper']}, {erlang, process_info, ['$sleeper', registered_name]}, {erlang, process_info, ['$sleeper', [registered_name, links]]}, {erlang, unregister, [bed_name]}, {erlang, whereis, [bed_name]}]},
    {erlang, unregister, [nobody]}, {erlang, unregister, [1]},
    {erlang, processes, [], shape}, {erlang, ports, [], list},
    {erlang, is_process_alive, ['$sleeper']}, {erlang, is_process_alive, ['$dead']}, {erlang, is_process_alive, ['$self']}, {erlang, is_process_alive, [1]},
    {erlang, process_info, ['$dead']}, {erlang, process_info, ['$self']}, {erlang, process_info, [1]}, {erlang, process_info, ['$sleeper'], keys},
    [{erlang, process_info, ['$sleeper', Item]} || Item <- [registered_name, current_function, initial_call, status, message_queue_len, messages, links, monitors, monitored_by, dictionary, trap_exit, error_handler,
        priority, group_leader, suspending, last_calls, sequential_trace_token, trace, catchlevel, message_queue_data, foo, 1]],
    [{erlang, process_info, ['$sleeper', Item], shape} || Item <- [memory, heap_size, total_heap_size, stack_size, reductions, garbage_collection, min_heap_size, min_bin_vheap_size, fullsweep_after, binary, current_location, backtrace, current_stacktrace]],
    {since, 25, {erlang, process_info, ['$sleeper', parent], shape}}, {since, 27, {erlang, process_info, ['$sleeper', label]}},
    {since, 26, {erlang, process_info, ['$sleeper', {dictionary, a}]}},
    {erlang, process_info, ['$sleeper', [status, trap_exit, links, registered_name]]}, {erlang, process_info, ['$sleeper', []]}, {erlang, process_info, ['$sleeper', [foo]]}, {erlang, process_info, ['$dead', status]}, {erlang, process_info, ['$dead', [status]]},
    {erlang, process_info, ['$self', status]}, {erlang, process_info, ['$dead', foo]},
    {erlang, group_leader, []}, {erlang, group_leader, [a, b]}, {erlang, group_leader, ['$self', '$local']}, {seq, [{erlang, group_leader, ['$self', '$sleeper']}, {erlang, process_info, ['$sleeper', group_leader]}]}, {erlang, group_leader, ['$self', '$dead']},
    {erlang, monitor_node, ['$me', true]}, {erlang, monitor_node, ['$me', false]}, {erlang, monitor_node, ['$node', true]}, {erlang, monitor_node, [1, true]}, {erlang, monitor_node, ['$me', foo]}, {erlang, monitor_node, [nonode@localhost, true]},
    {erlang, monitor_node, ['$me', true, []]}, {erlang, monitor_node, ['$me', true, [allow_passive_connect]]}, {erlang, monitor_node, ['$me', true, [foo]]},
    {erlang, disconnect_node, [nonode@localhost]}, {erlang, disconnect_node, ['$node']}, {erlang, disconnect_node, [1], alive},
    {erlang, get_cookie, []}, {since, 24, {erlang, get_cookie, ['$me']}}, {since, 24, {erlang, get_cookie, [1]}}, {erlang, set_cookie, [bed_x@nohost, biscuit]}, {since, 24, {erlang, get_cookie, [bed_x@nohost]}},
    {since, 24, {erlang, set_cookie, [1, 2]}}, {since, 24, {erlang, set_cookie, [bed]}}, {since, 24, {erlang, set_cookie, [1]}},
    {erlang, memory, [], keys}, {erlang, memory, [total], shape}, {erlang, memory, [processes], shape}, {erlang, memory, [[total, binary]], keys}, {since, 24, {erlang, memory, [foo]}}, {since, 24, {erlang, memory, [[foo]]}},
    [{erlang, statistics, [Item], shape} || Item <- [wall_clock, runtime, reductions, exact_reductions, run_queue, total_run_queue_lengths, total_run_queue_lengths_all, total_active_tasks, total_active_tasks_all, io, garbage_collection, context_switches, scheduler_wall_time, scheduler_wall_time_all]],
    [{erlang, statistics, [Item], list} || Item <- [run_queue_lengths, run_queue_lengths_all, active_tasks, active_tasks_all]],
    {erlang, statistics, [foo]}, {erlang, statistics, [1]},
    [{erlang, system_info, [Item], shape} || Item <- [process_count, process_limit, port_count, port_limit, atom_count, atom_limit, ets_limit, system_version, version, otp_release, machine, system_architecture, creation,
        schedulers, schedulers_online, dirty_cpu_schedulers, dirty_cpu_schedulers_online, dirty_io_schedulers, logical_processors, logical_processors_online, logical_processors_available, start_time, thread_pool_size, dist_buf_busy_limit, end_time,
        tolerant_timeofday, dist_ctrl]],
    [{erlang, system_info, [Item]} || Item <- [wordsize, {wordsize, internal}, {wordsize, external}, smp_support, threads, multi_scheduling, multi_scheduling_blockers, build_type, debug_compiled, kernel_poll, time_correction, 
        dynamic_trace, dynamic_trace_probes, garbage_collection, trace_control_word, endian, foo, 1, {foo, bar}, lock_checking, build_flavor_], not lists:member(Item, [garbage_collection, trace_control_word])],
    {since, 24, {erlang, system_info, [emu_type]}}, {since, 27, {erlang, system_info, [ets_count], shape}}, {since, 26, {erlang, system_info, [async_dist]}},
    {erlang, monotonic_time, [], shape}, {erlang, monotonic_time, [millisecond], shape}, {since, 24, {erlang, monotonic_time, [native], shape}}, {erlang, monotonic_time, [foo]}, {erlang, monotonic_time, [0]}, {erlang, monotonic_time, [1000], shape},
    {erlang, system_time, [], shape}, {erlang, system_time, [second], shape}, {erlang, system_time, [foo]}, {erlang, time_offset, [], shape}, {erlang, time_offset, [second], shape}, {erlang, timestamp, [], shape}, {erlang, now, [], shape},
    {erlang, unique_integer, [], shape}, {erlang, unique_integer, [[positive]], shape}, {erlang, unique_integer, [[positive, monotonic]], shape}, {erlang, unique_integer, [[foo]]}, {erlang, unique_integer, [[positive | x]]}, {erlang, nodes, [[visible | x]]}, {erlang, process_info, ['$sleeper', [status | x]]}, {erlang, function_exported, [erlang, node, -1]}, {erlang, list_to_pid, ["<0.+1.0>"]},
    {erlang, demonitor, ['$ref'], reason}, {erlang, demonitor, ['$ref', [info]], reason}, {io, format, [standard_io, "bed"], reason}, {io, print, [x]}, {init, stop, [foo]}, {init, stop, [-1]}, {erlang, unique_integer, [1]},
    {erlang, date, [], shape}, {erlang, time, [], shape}, {erlang, localtime, [], shape}, {erlang, universaltime, [], shape},
    {erlang, function_exported, [erlang, node, 0]}, {erlang, function_exported, [no, where, 0]}, {erlang, function_exported, [1, 2, 3]}, {erlang, module_loaded, [erlang]}, {erlang, module_loaded, [no_such]}, {erlang, module_loaded, [1]},
    {erlang, loaded, [], {contains, [erlang, rpc, erpc, code, init, net_kernel, timer]}}, {erlang, pre_loaded, [], {contains, [erlang, init]}},
    {erlang, pid_to_list, ['$sleeper'], shape}, {erlang, pid_to_list, [1]}, {erlang, ref_to_list, [1]}, {erlang, list_to_pid, ["<0.1.0>"]}, {erlang, list_to_pid, [x]}, {erlang, is_builtin, [erlang, node, 0]}, {erlang, is_builtin, [no, where, 0]},
    {erlang, unlink, ['$sleeper']}, {erlang, unlink, [1]}, {erlang, monitor, [process, '$sleeper']}, {erlang, monitor, [process, 1]}, {erlang, monitor, [foo, '$sleeper']}, {erlang, demonitor, [1]},
    {erlang, process_flag, [trap_exit, true]}, {erlang, process_flag, [foo, true]}, {erlang, process_flag, [trap_exit, foo]}, {erlang, link, [1]},
    {erlang, spawn, [timer, sleep, [0]]}, {erlang, spawn, [timer, sleep, x]}, {erlang, spawn, [timer, sleep, [0 | a]]}, {erlang, spawn, ['$node', timer, sleep, [0]]}, {erlang, spawn_link, [timer, sleep, [0]]}, {erlang, spawn_monitor, [timer, sleep, [0]]},
    {since, 24, {erlang, halt, [foo]}}, {erlang, no_such_function, []},
    {erlang, get, [a]}, {erlang, garbage_collect, []}, {erlang, garbage_collect, ['$sleeper']}, {erlang, yield, []},
    {timer, sleep, [0]}, {timer, sleep, [10]}, {timer, sleep, [x]}, {timer, sleep, [-1]}, {timer, tc, [erlang, is_alive, []], shape}, {timer, no_such, [1]},
    {net_adm, ping, ['$me']}, {net_adm, ping, ['$node']}, {net_adm, ping, [nonode@localhost]}, {net_adm, ping, [1]}, {net_adm, names, [], shape}, {net_adm, names, [localhost], shape}, {net_adm, names, ["localhost"], shape},
    {net_adm, names, [1], alive}, {net_adm, localhost, [], shape}, {net_adm, host_file, []},
    {net_kernel, connect_node, ['$me']}, {net_kernel, connect_node, ['$node']}, {net_kernel, connect_node, [nonode@localhost]}, {net_kernel, connect_node, [1]}, {net_kernel, hidden_connect_node, ['$me']},
    {net_kernel, get_net_ticktime, []}, {net_kernel, get_net_ticktime, [1]}, {net_kernel, set_net_ticktime, [60]}, {net_kernel, set_net_ticktime, [60, 5]}, {net_kernel, set_net_ticktime, [x]}, {net_kernel, set_net_ticktime, [0]},
    {net_kernel, nodes_info, [], node_keys}, {net_kernel, node_info, ['$me'], keys}, {net_kernel, node_info, ['$me', state]}, {net_kernel, node_info, ['$me', type]}, {net_kernel, node_info, ['$me', owner]}, {net_kernel, node_info, [nonode@localhost]}, {net_kernel, node_info, [nonode@localhost, state]},
    {net_kernel, longnames, []}, {since, 25, {net_kernel, get_state, []}}, {net_kernel, verbose, [0]}, {net_kernel, allow, [[]]}, {net_kernel, allow, [x], alive}, {since, 25, {net_kernel, allowed, []}},
    {rpc, call, ['$node', erlang, node, []]}, {rpc, call, ['$me', erlang, throw, [x]]}, {rpc, call, ['$me', erlang, exit, [x]]}, {rpc, call, ['$me', erlang, error, [x]]}, {rpc, call, ['$me', no, where, [1]]}, {rpc, call, [nonode@localhost, erlang, node, []]},
    {rpc, call, ['$me', timer, sleep, [60000], 10]}, {rpc, call, ['$me', erlang, is_alive, [], infinity]}, {rpc, call, ['$me', erlang, is_alive, [], 5000]}, {since, 24, {rpc, call, [1, 2, 3, 4]}}, {since, 24, {rpc, call, ['$me', erlang, is_alive, [], foo]}},
    {rpc, block_call, ['$me', erlang, is_alive, []]}, {rpc, block_call, ['$me', erlang, is_alive, [], 5000]}, {rpc, block_call, ['$me', erlang, exit, [x]]}, {rpc, block_call, ['$me', erlang, throw, [{'EXIT', x}]]}, {rpc, block_call, [nonode@localhost, erlang, node, []]},
    {rpc, cast, ['$me', erlang, is_alive, []]}, {rpc, cast, [nonode@localhost, erlang, is_alive, []]}, {rpc, multicall, [['$me', '$node'], erlang, is_alive, []]}, {rpc, multicall, [erlang, is_alive, []]}, {rpc, multicall, [erlang, is_alive, [], 5000]},
    {rpc, multicall, [['$me', nonode@localhost], erlang, is_alive, []]}, {rpc, multicall, [['$me', nonode@localhost], erlang, exit, [x], 5000]}, {rpc, abcast, [['$me'], nobody, x]}, {rpc, abcast, [nobody, x]}, {rpc, sbcast, [['$me'], nobody, x]}, {rpc, sbcast, [['$me', '$node'], rex, x]},
    {rpc, eval_everywhere, [erlang, is_alive, []]}, {rpc, eval_everywhere, [['$me'], erlang, is_alive, []]}, {rpc, pinfo, ['$sleeper', status]}, {rpc, pinfo, ['$self', trap_exit]},
    {rpc, parallel_eval, [[{erlang, is_alive, []}]]}, {rpc, no_such, []},
    {erpc, call, ['$node', erlang, node, []]}, {erpc, call, ['$me', erlang, throw, [x]], reason}, {erpc, call, ['$me', erlang, exit, [x]]}, {erpc, call, ['$me', erlang, error, [x]], reason}, {erpc, call, ['$me', no, where, [1]], reason}, {erpc, call, [nonode@localhost, erlang, node, []], reason},
    {erpc, call, ['$me', timer, sleep, [60000], 10], reason}, {erpc, call, ['$me', erlang, is_alive, [], infinity]}, {erpc, call, ['$me', erlang, is_alive, [], foo], reason}, {erpc, call, [1, 2, 3, 4], reason}, {erpc, call, ['$me', fun erlang:is_alive/0]}, {erpc, call, ['$me', fun erlang:is_alive/0, 5000]},
    {erpc, cast, ['$me', erlang, is_alive, []]}, {erpc, cast, [nonode@localhost, erlang, is_alive, []]}, {erpc, cast, ['$me', fun erlang:is_alive/0]}, {erpc, cast, [1, 2, 3, 4], reason},
    {erpc, multicall, [['$me', '$node'], erlang, is_alive, []]}, {erpc, multicall, [['$me', nonode@localhost], erlang, exit, [x]]}, {erpc, multicall, [['$me'], erlang, throw, [x], 5000]}, {erpc, multicall, [['$me'], timer, sleep, [60000], 10]},
    {erpc, multicast, [['$me'], erlang, is_alive, []]},
    {init, get_argument, [root], alive}, {init, get_argument, [progname], alive}, {init, get_argument, [home], shape}, {init, get_argument, [sname], shape}, {init, get_argument, [setcookie], shape}, {init, get_argument, [no_such]}, {init, get_argument, [1]},
    {init, get_arguments, [], alive}, {init, get_plain_arguments, []}, {init, get_status, []}, {init, script_id, [], shape},
    {code, ensure_loaded, [erlang]}, {code, ensure_loaded, [no_such_module]}, {code, ensure_loaded, [1]}, {code, which, [erlang]}, {code, which, [no_such_module]}, {code, which, [1]}, {code, is_loaded, [erlang], shape}, {code, is_loaded, [no_such_module]}, {code, is_loaded, [1]},
    {code, ensure_loaded, [rpc]}, {code, ensure_loaded, [timer]},
    {io, format, ["bed"]}, {io, format, ["bed ~p~n", [x]]}, {io, put_chars, ["bed"]}, {io, put_chars, [user, "bed\n"]}, {io, nl, []}, {io, write, [{a, 1}]}, {io, fwrite, ["bed~n", []]}, {io, format, [user, "bed~n", []]},
    {io, format, ["~p", []], reason}, {io, put_chars, [1], reason},
    {no, where, []}, {no, where, [1]}, {lists, no_such, [[1]]}, {'Elixir.NoSuch', hello, [<<"x">>]}
].

%% What makes a node one of a cluster, with arguments that are as they should be and with others.
cluster() -> [
    [{global, register_name, Args, reason} || Args <- [[x, 1], [x, '$sleeper', foo], [x, '$sleeper', {a, b, c}], [x, '$sleeper', fun erlang:node/0], [x]]],
    {global, re_register_name, [x, foo]}, {global, re_register_name, [x, '$sleeper', foo], reason}, {global, register_name_external, [x, 1]},
    {seq, [{global, register_name, [bed_x, '$sleeper', {no, where}]}, {global, whereis_name, [bed_x]}, {global, register_name, [bed_y, '$sleeper']}, {global, register_name, [bed_x, '$mortal']},
        {global, re_register_name, [bed_y, '$sleeper']}, {global, unregister_name, [bed_x]}, {global, unregister_name, [bed_y]}, {global, registered_names, []}]},
    {seq, [{global, register_name, [1, '$sleeper']}, {global, whereis_name, [1.0]}, {global, unregister_name, [1.0]}, {global, whereis_name, [1]}, {global, unregister_name, [1]}]},
    {seq, [{global, register_name_external, [bed_e, '$self']}, {global, whereis_name, [bed_e]}, {global, unregister_name_external, [bed_e]}, {global, whereis_name, [bed_e]}]},
    {global, send, [nobody, x]}, {global, send, [x]},
    [{global, set_lock, Args, reason} || Args <- [[foo], [{a, b}, foo], [{a, b}, [foo], 0], [{a, b}, ['$node'], x], [{a, b}, ['$node'], -1], [{a, b}, ['$node'], 1.0], [{a, b, c}, ['$node'], 0], [{a, b}, ['$me' | x], 0], [{a, b}, [], 0], [{a, b}, ['$node', '$node'], 0]]],
    [{global, del_lock, Args, reason} || Args <- [[foo], [{a, b}], [{a, b}, foo], [{a, b}, [foo]], [{nobodys, b}, ['$node']]]],
    [{global, trans, [{bed_t, 1}, Fun, ['$node'], 0], reason} || Fun <- [fun erlang:node/0, foo, {erlang, node}, fun erlang:throw/1, fun erlang:garbage_collect/1, fun no:where/0]],
    [{global, trans, Args, reason} || Args <- [[foo, fun erlang:node/0, ['$node'], 0], [{a, b}, fun erlang:node/0, foo, 0], [{a, b}, fun erlang:node/0, ['$node'], foo], [{a, b}, fun erlang:node/0, [foo], 0]]],
    {global, sync, []}, {global, sync, [[foo]]}, {global, sync, [[]]},
    [{global, resolve_it, [Fun, x, '$sleeper', '$self'], reason} || Fun <- [foo, {erlang, node}, fun erlang:max/2, fun global:notify_all_name/3]],
    [{global, Fun, [x, 1, 2], reason} || Fun <- [random_exit_name, random_notify_name, notify_all_name]],
    {global, start_link, []}, {global, no_such, []},
    [{pg, Start, [Scope]} || Start <- [start, start_link], Scope <- [1, "x", undefined]],
    {pg, which_groups, [bed_none], reason}, {pg, which_local_groups, [bed_none], reason}, {pg, which_groups, [1], reason}, {pg, get_members, [1, g]}, {pg, get_local_members, [1, g]}, {pg, get_members, [bed_none, g]},
    [{pg, Fun, [bed_scope, g, Pids], reason} || Fun <- [join, leave], Pids <- [foo, [foo], ['$sleeper', foo], ['$sleeper' | foo], '$self', ['$sleeper', '$self'], 1, {'$sleeper'}]],
    {seq, [{pg, start, [bed_scope]}, {pg, join, [bed_scope, g, ['$sleeper', '$sleeper']]}, {pg, join, [bed_scope, g, []]}, {pg, leave, [bed_scope, h, '$sleeper']}, {pg, leave, [bed_scope, g, []]}, {pg, get_members, [bed_scope, g]},
        {pg, leave, [bed_scope, g, '$sleeper']}, {pg, get_members, [bed_scope, g]}, {pg, leave, [bed_scope, g, '$sleeper']}, {pg, leave, [bed_scope, g, '$sleeper']}, {pg, which_groups, [bed_scope]}]},
    {erlang, nodes, [[visible | x]]}, {erlang, nodes, [[hidden, hidden]]},
    [{net_kernel, monitor_nodes, Args} || Args <- [[foo], [1], [true, []], [true, [nodedown_reason, x, y]], [true, [{node_type, x}]], [true, [{node_type, all}, {node_type, visible}]], [true, [x, {node_type, visible}, {node_type, all}, {node_type, hidden}]],
        [true, [{node_type, all}, {node_type, all}]], [foo, [x]], [false, [x]], [true, [{nodedown_reason, true}]]]],
    [{since, 25, {net_kernel, monitor_nodes, [true, Options]}} || Options <- [foo, #{}, #{x => 1}, #{node_type => x}, #{nodedown_reason => x}, #{connection_id => true}, [connection_id]]],
    {net_kernel, nodename, []}, {net_kernel, connecttime, []}, {net_kernel, epmd_module, []}, {net_kernel, protocol_childspecs, []}, {net_kernel, stop, []},
    [{net_kernel, allow, [Nodes]} || Nodes <- [x, 1, [1], ['$me' | x]]],
    {seq, [{net_kernel, verbose, [1]}, {net_kernel, verbose, [0]}]}, {net_kernel, verbose, [x]},
    {net_kernel, disconnect, [1]}, {net_kernel, disconnect, [nonode@localhost]}, {since, 25, {net_kernel, async_disconnect, [1]}}, {net_kernel, dflag_unicode_io, ['$self']}, {net_kernel, dflag_unicode_io, [x]},
    [{net_kernel, getopts, Args} || Args <- [['$me', [nodelay]], ['$me', [active]], ['$me', [x]], ['$me', []], ['$me', x], [nonode@localhost, [nodelay]], [1, []]]],
    [{net_kernel, setopts, Args} || Args <- [['$me', [{nodelay, true}]], [nonode@localhost, []], ['$me', x], [1, []]]],
    {net_kernel, node_info, ['$me', address], address},
    {net_adm, dns_hostname, [localhost]}, {net_adm, dns_hostname, ["localhost"]}, {net_adm, dns_hostname, ['nobody.invalid']}, {net_adm, dns_hostname, [1]},
    {net_adm, names, [{127, 0, 0, 1}], shape}, {net_adm, names, ['nobody.invalid']}, {net_adm, names, [1], reason}, {net_adm, names, [{1, 2}], reason},
    {net_adm, ping_list, [x], reason}, {net_adm, ping_list, [[1]], reason}, {net_adm, ping_list, [['$me', nonode@localhost, '$node']]},
    {net_adm, world_list, [x]}, {net_adm, world_list, [[]]}, {net_adm, world_list, ['$node', silent, 1]},
    [{global_group, Fun, []} || Fun <- [global_groups, own_nodes, sync, get_own_nodes, get_own_nodes_with_errors, info]],
    {global_group, monitor_nodes, [x]}, {global_group, ng_add_check, ['$me', ['$me']]}, {global_group, ng_add_check, ['$me', normal, ['$me']]},
    [{seq, [{global, register_name, [bed_g, '$self']}, {global_group, whereis_name, Place ++ [bed_g]}, {global_group, send, Place ++ [bed_g, bed_hello]}, {global_group, registered_names, Place}, {global, unregister_name, [bed_g]},
        {global_group, whereis_name, Place ++ [bed_g]}, {global_group, send, Place ++ [bed_g, bed_hello]}]} || Place <- [[{node, '$node'}], [{group, g}], [{node, nonode@localhost}], [foo], [{foo, 1}]]],
    {global_group, whereis_name, [nobody]}, {global_group, send, [nobody, x]}
].

here({since, Release, _}) -> list_to_integer(erlang:system_info(otp_release)) >= Release;
here(_) -> true.

outcomes(Node, {since, _, Call}) -> outcomes(Node, Call);
outcomes(Node, {seq, Calls}) ->
    Sleeper = spawn(Node, timer, sleep, [infinity]),
    Outcomes = [viewed(same, Node, by_rpc(Node, M, F, fill(A, Node, Sleeper))) || {M, F, A} <- Calls],
    exit(Sleeper, kill),
    Outcomes;
outcomes(Node, {M, F, A}) -> outcomes(Node, {M, F, A, same});
outcomes(Node, {M, F, A, View}) ->
    [begin
         Sleeper = spawn(Node, timer, sleep, [infinity]),
         Outcome = viewed(View, Node, How(Node, M, F, fill(A, Node, Sleeper))),
         exit(Sleeper, kill),
         Outcome
     end || How <- [fun by_rpc/4, fun by_erpc/4, fun by_spawn/4]].

by_rpc(Node, M, F, A) -> {rpc, rpc:call(Node, M, F, A, 20000)}.

by_erpc(Node, M, F, A) ->
    {erpc, try {value, erpc:call(Node, M, F, A, 20000)} catch Class:Reason -> {Class, Reason} end}.

by_spawn(Node, M, F, A) ->
    {Pid, Monitor} = spawn_monitor(Node, M, F, A),
    {spawn, receive {'DOWN', Monitor, process, Pid, Reason} -> {down, Reason} after 20000 -> exit(Pid, kill), hangs end}.

fill('$node', Node, _) -> Node;
fill('$me', _, _) -> node();
fill('$self', _, _) -> self();
fill('$sleeper', _, Sleeper) -> Sleeper;
fill('$ref', _, _) -> make_ref();
fill('$local', _, _) -> spawn(timer, sleep, [1000]);
fill('$mortal', Node, _) -> spawn(Node, timer, sleep, [infinity]);
fill('$dead', Node, _) ->
    {Pid, Monitor} = spawn_monitor(Node, erlang, is_alive, []),
    receive {'DOWN', Monitor, process, Pid, _} -> Pid end;
fill([Head | Tail], Node, Sleeper) -> [fill(Head, Node, Sleeper) | fill(Tail, Node, Sleeper)];
fill(Tuple, Node, Sleeper) when is_tuple(Tuple) -> list_to_tuple(fill(tuple_to_list(Tuple), Node, Sleeper));
fill(Other, _, _) -> Other.

%%% What is compared

viewed(same, Node, Outcome) -> neutral(Outcome, Node);
viewed(alive, _, {How, _}) -> {How, ended};
viewed(View, Node, Outcome) ->
    case Outcome of
        {spawn, {down, normal}} -> {spawn, normal};
        {rpc, {badrpc, _}} when View =/= reason -> neutral(Outcome, Node);
        {erpc, {Class, _}} when Class =/= value, View =/= reason -> neutral(Outcome, Node);
        {spawn, _} when View =/= reason -> neutral(Outcome, Node);
        {rpc, Value} -> {rpc, view(View, Value, Node)};
        {erpc, {Class, Value}} -> {erpc, Class, view(View, Value, Node)};
        {spawn, {down, Reason}} -> {spawn, view(View, Reason, Node)}
    end.

view(shape, Value, _) -> shape(Value);
view(list, Value, _) -> is_list(Value);
view(sorted, Value, Node) -> lists:sort(neutral(Value, Node));
view(keys, Value, _) when is_list(Value) -> lists:sort([element(1, Pair) || Pair <- Value, Pair =/= {registered_name, []}]);
view(keys, {ok, Value}, _) -> {ok, lists:sort([element(1, Pair) || Pair <- Value])};
view(node_keys, {ok, Value}, _) -> {ok, [{N, lists:sort([K || {K, _} <- Info])} || {N, Info} <- Value, N =:= node()]};
view(address, {ok, {net_address, {Ip, Port}, Host, Protocol, Family}}, _) when is_integer(Port) -> {Ip, Host, Protocol, Family};
view({contains, Wanted}, Value, _) ->
    Names = [case Item of {Name, _} -> Name; Name -> Name end || Item <- Value],
    Wanted -- Names;
%% An exception's reason, and no stack.
view(reason, Value, Node) -> neutral(no_stacks(Value), Node);
view(_, Value, Node) -> neutral(Value, Node).

no_stacks({badrpc, {'EXIT', Reason}}) -> {badrpc, {'EXIT', no_stacks(Reason)}};
no_stacks({'EXIT', Reason}) -> {'EXIT', no_stacks(Reason)};
no_stacks({exception, Reason, Stack}) when is_list(Stack) -> {exception, no_stacks(Reason), '$stack'};
no_stacks({Reason, [{_, _, _, _} | _]}) -> {no_stacks(Reason), '$stack'};
no_stacks({Reason, []}) -> {no_stacks(Reason), '$stack'};
no_stacks(Other) -> Other.

shape(Value) when is_integer(Value) -> integer;
shape(Value) when is_float(Value) -> float;
shape(Value) when is_binary(Value) -> binary;
shape(Value) when is_pid(Value) -> pid;
shape(Value) when is_reference(Value) -> reference;
shape([]) -> list;
shape(List) when is_list(List) -> case io_lib:latin1_char_list(List) of true -> string; false -> list end;
shape(Tuple) when is_tuple(Tuple) -> [case Element of _ when is_atom(Element) -> Element; _ -> shape(Element) end || Element <- tuple_to_list(Tuple)];
shape(Map) when is_map(Map) -> maps:keys(Map);
shape(Atom) when is_atom(Atom) -> atom.

neutral(Node, Node) -> '$node';
neutral(Pid, Node) when is_pid(Pid), node(Pid) =:= Node -> '$pid';
neutral(Reference, Node) when is_reference(Reference), node(Reference) =:= Node -> '$ref';
neutral({file, _}, _) -> '$place';
neutral({line, _}, _) -> '$place';
%% Where a spawned process began, which no release since shows.
neutral({erts_internal, dist_spawn_init, _, _}, _) -> '$place';
neutral({erlang, apply, 2, []}, _) -> '$place';
%% OTP 24 began to say more of errors.
neutral({error_info, _} = Info, _) -> case list_to_integer(erlang:system_info(otp_release)) < 24 of true -> '$place'; false -> Info end;
neutral([Head | Tail], Node) ->
    case neutral(Head, Node) of
        '$place' -> neutral(Tail, Node);
        Neutral -> [Neutral | neutral(Tail, Node)]
    end;
neutral(Tuple, Node) when is_tuple(Tuple) -> list_to_tuple([neutral(Element, Node) || Element <- tuple_to_list(Tuple)]);
neutral(Map, Node) when is_map(Map) -> maps:map(fun(_, Value) -> neutral(Value, Node) end, Map);
neutral(Other, _) -> Other.
