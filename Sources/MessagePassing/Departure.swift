import COpenMPI
import Failures
import Glibc

/// How an MPI job ends, on every rank: in order or by a fault, once, within seconds, and never hanging.
///
/// - Rank 0's failure: it prints the one line, tells the others to leave, all finalise; the others' processes end with
///   0 and rank 0's with the failure's code, which mpirun then returns.
/// - Another rank's failure: it reports to rank 0, which goes on as above.
/// - Whoever can't be reached within `patience` is ended by MPI_Abort, with the failure's code.
/// - A rank that is gone: see `Departure+Loss.swift`.
final class Departure: Sendable {
    struct State {
        /// The exit code of the end that has begun; nil while the job runs.
        var exitCode: Int32?
        var hasFinished = false
        /// Whether all ranks have finished.
        var isJobDone = false
        /// Whether rank 0 has told this rank to leave.
        var isDismissed = false
        var finished: Set<Int> = []
        var gone: Set<Int> = []
        /// Known once the ranks have told each other who they are.
        var rollCall: RollCall?
        var watch: LifeWatch?
        /// The ranks that have said that they are stopping.
        var heard: Set<Int> = []
        /// Whether another rank has said why.
        var isExplained = false
    }

    static let patience = Duration.seconds(5)
    /// The same when all have done their part: a busy machine must not turn work that is done into a failure.
    private static let patienceWhenDone = Duration.seconds(20)

    /// How much longer the others wait than rank 0: a rank that leaves MPI by force before the job is aborted would have
    /// the launcher report that, in place of the failure's exit code.
    private static let precedence = Duration.seconds(2)

    let endpoint: MPIEndpoint
    let cleanUps: CleanUps
    let state = Monitor(State())
    /// Whether the launcher ends the job when a rank ends with another code than 0, as mpirun does.
    private let isLauncherStrict: Bool

    init(endpoint: MPIEndpoint, cleanUps: CleanUps, isLauncherStrict: Bool) {
        self.endpoint = endpoint
        self.cleanUps = cleanUps
        self.isLauncherStrict = isLauncherStrict
    }

    var isFirst: Bool { endpoint.rank == 0 }
    private var others: Range<Int> { 1..<max(endpoint.size, 1) }

    /// This rank has done its part. The process ends when all have.
    func finish() {
        state.withLock { $0.hasFinished = true }
        if isFirst { dismissIfAllFinished() } else { say(.finished, to: 0) }
    }

    /// This rank can't go on, or another one has said so to rank 0.
    func fail(_ failure: Failure) {
        guard begin(failure.exitCode) else { return }
        guard isFirst else {
            say(.failed(located(failure)), to: 0)
            // Rank 0 does not answer, or it would have ended the job. An MPI_Abort that the launcher has not dealt with
            // when it comes to kill a stopped rank 0 makes mpirun 4.1 hang or crash, one time in twenty.
            watch(failure.exitCode, by: isLauncherStrict ? .exit : .abort) { [self] in
                StandardError.report(located(failure).message)
            }
            return
        }
        StandardError.report(failure.message)
        cleanUps.runAll()
        dismissOthers()
        watch(failure.exitCode)
    }

    func receive(_ message: ControlMessage, from source: Int) {
        switch message {
        case .finished:
            state.withLock { _ = $0.finished.insert(source) }
            dismissIfAllFinished()
        case .failed(let failure):
            fail(failure)
        case .gone:
            let count = state.withLock { state in
                state.gone.insert(source)
                return state.gone.count
            }
            if count == others.count { endpoint.leave() }
        case .leave(let isDone):
            state.change { state in
                state.isJobDone = isDone
                state.isDismissed = true
            }
            _ = begin(0)
            if !isDone { cleanUps.runAll() }
            watch(0, for: (isDone ? Self.patienceWhenDone : Self.patience) + Self.precedence, by: .exit)
            say(.gone, to: 0)
            endpoint.leave()
        case .stopping(let isExplained):
            state.change { state in
                state.heard.insert(source)
                if isExplained { state.isExplained = true }
            }
        case .lost:
            hearOfLoss()
        }
    }

    /// MPI itself failed.
    func fault(_ failure: Failure) {
        if begin(failure.exitCode), let text = explanation(of: failure) { StandardError.report(text) }
        cleanUps.runAll()
        pilot_mpi_abort(failure.exitCode)
        _exit(failure.exitCode)
    }

    /// MPI was finalised: the last thing that happens. Only rank 0 speaks for the job's outcome.
    func end() {
        let code = state.withLock { $0.exitCode } ?? 0
        fflush(nil)
        _exit(isFirst ? code : 0)
    }

    private func dismissIfAllFinished() {
        let isDone = state.withLock { state in
            guard state.hasFinished, state.finished.count == others.count, state.exitCode == nil else { return false }
            state.exitCode = 0
            state.isJobDone = true
            return true
        }
        guard isDone else { return }
        dismissOthers(isDone: true)
        watch(Failure.Kind.internalFault.rawValue, for: Self.patienceWhenDone) {
            StandardError.report("the work is done, but the ranks could not end MPI together")
        }
    }

    func dismissOthers(isDone: Bool = false) {
        for other in others { say(.leave(isDone: isDone), to: other) }
        if others.isEmpty { endpoint.leave() }
    }

    /// Claims the job's end; false when it has begun already, so that only the first failure speaks.
    func begin(_ exitCode: Int32) -> Bool {
        state.withLock { state in
            guard state.exitCode == nil else { return false }
            state.exitCode = exitCode
            return true
        }
    }

    func say(_ message: ControlMessage, to destination: Int) {
        endpoint.enqueue(SendOrder(head: message.encoded, destination: destination, tag: .control))
    }

    private func located(_ failure: Failure) -> Failure {
        Failure(failure.kind, "rank \(endpoint.rank) on \(endpoint.hostName): \(failure.message)")
    }

    enum Force {
        /// All processes of the job.
        case abort
        /// This process alone: rank 0 sees to the job.
        case exit
    }

    /// Ends the job by force should it still be there after `patience`.
    func watch(
        _ exitCode: Int32, for patience: Duration = Departure.patience, by force: Force = .abort,
        after explain: @escaping @Sendable () -> Void = {}
    ) {
        let cleanUps = cleanUps
        let end: @Sendable () -> Void = {
            sleep(patience)
            explain()
            cleanUps.runAll()
            guard force == .abort else { _exit(exitCode) }
            // MPI_Abort may itself wait for a launcher that is gone.
            (try? DedicatedThread(name: "abort", stackBytes: 1 << 20))?.enqueue { pilot_mpi_abort(exitCode) }
            sleep(.seconds(2))
            _exit(exitCode)
        }
        guard let thread = try? DedicatedThread(name: "watchdog", stackBytes: 1 << 20) else {
            if force == .abort { pilot_mpi_abort(exitCode) }
            return
        }
        thread.enqueue(end)
    }
}

func sleep(_ duration: Duration) {
    // Nothing ever happens to this: it is a wait with a limit.
    _ = Monitor(false).wait(atMost: duration) { $0 ? true : nil }
}
