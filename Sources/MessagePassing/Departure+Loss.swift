import COpenMPI
import Failures
import Glibc

// How a job ends that has lost a rank, or is told by a signal to end.
extension Departure {
    /// A launcher ends ranks by SIGTERM and, a second later, by SIGKILL. No rank leaves before the others have had the
    /// time to look who is there.
    private static let answerTime = Duration.milliseconds(600)
    private static let lingering = Duration.milliseconds(750)
    /// How long the job may take to end in order when a rank is gone: without it, MPI can't be finalised.
    private static let patienceAfterLoss = Duration.seconds(1)
    /// How long word of an end in order may take that a rank has sent before it went: a rank that was stopped wakes up
    /// to both at once.
    private static let mailTime = Duration.milliseconds(200)

    /// From now on, ranks that are gone are noticed, and can be named.
    func know(_ directory: RankDirectory) throws {
        let rollCall = RollCall(rank: endpoint.rank, directory: directory)
        let watch = try LifeWatch(name: "neighbour watch") { [weak self] in self?.look() }
        state.change { state in
            state.rollCall = rollCall
            state.watch = watch
        }
    }

    /// A signal asks this process to end.
    func interrupt(_ signal: TerminationHandler.Signal) {
        let start = ContinuousClock.now
        // An end in order has said nothing yet that this would contradict.
        let isFirstCause = begin(signal.exitCode) || state.withLock { $0.isJobDone }
        cleanUps.runAll()
        let reason = ParallelProgram.explanation(of: signal, underLauncher: true)
        if let rollCall = state.withLock({ $0.rollCall }) {
            let gone = unexplained(rollCall.goneNeighbours())
            for spokesman in rollCall.spokesmen where spokesman != endpoint.rank && !gone.contains(spokesman) {
                say(.stopping(isExplained: !gone.isEmpty), to: spokesman)
            }
            if isFirstCause { explain(reason, gone, rollCall) }
        } else if isFirstCause && isFirst {
            report(reason + ": Ctrl-C, a time limit, or another rank that died")
        }
        sleep(max(.zero, Self.lingering - (ContinuousClock.now - start)))
        _exit(signal.exitCode)
    }

    private func explain(_ reason: String, _ gone: [Int], _ rollCall: RollCall) {
        if rollCall.speaks(of: gone) { return report(rollCall.obituary(of: gone)) }
        guard gone.isEmpty, rollCall.spokesmen.contains(endpoint.rank) else { return }
        _ = state.wait(atMost: Self.answerTime) { state in
            state.isExplained || rollCall.silent(heard: state.heard).isEmpty ? true : nil
        }
        let (heard, isExplained) = state.withLock { ($0.heard, $0.isExplained) }
        if let text = rollCall.statement(on: reason, heard: heard, isExplained: isExplained) { report(text) }
    }

    private func report(_ text: String) {
        StandardError.report("\(text); \(ParallelProgram.removed)")
    }

    /// What this rank has to say about an end by MPI's own fault: a rank that is gone, should that be the cause.
    func explanation(of fault: Failure) -> String? {
        guard let rollCall = state.withLock({ $0.rollCall }) else { return fault.message }
        let gone = rollCall.goneNeighbours()
        guard !gone.isEmpty else { return fault.message }
        return rollCall.speaks(of: gone) ? rollCall.obituary(of: gone) : nil
    }

    /// Ends the job when a rank of this machine is gone.
    private func look() {
        guard let rollCall = state.withLock({ $0.exitCode == nil ? $0.rollCall : nil }) else { return }
        let gone = unexplained(rollCall.goneNeighbours())
        guard !gone.isEmpty, begin(Failure.Kind.internalFault.rawValue) else { return }
        // The others are silent, and rank 0 too is told only once it has been said.
        if rollCall.speaks(of: gone) {
            report(rollCall.obituary(of: gone))
            if !isFirst && !gone.contains(0) { say(.lost, to: 0) }
        }
        cleanUps.runAll()
        endAfterLoss()
    }

    /// The ranks among `gone` that did not go because the job ends: none once rank 0 has told this rank to leave.
    private func unexplained(_ gone: [Int]) -> [Int] {
        guard !gone.isEmpty else { return [] }
        return state.wait(atMost: Self.mailTime) { $0.isDismissed ? [] : nil } ?? gone
    }

    /// Another rank has seen and said that one is gone.
    func hearOfLoss() {
        state.change { $0.isExplained = true }
        guard begin(Failure.Kind.internalFault.rawValue) else { return }
        cleanUps.runAll()
        endAfterLoss()
    }

    private func endAfterLoss() {
        if isFirst { dismissOthers() }
        watch(Failure.Kind.internalFault.rawValue, for: Self.patienceAfterLoss)
    }
}
