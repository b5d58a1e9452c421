import Failures
import Synchronization

/// The driver's watch over all ranks: asks them what they are at when something has not come back for too long, and
/// ends the job when it stands still.
final class StallWatch: Sendable {
    /// How long a rank may take to say what it is at: a message there and back, while its machine is busy.
    private static let patience = 5.0

    /// What the watch sees of the driver.
    struct Subject: Sendable {
        let layout: Layout
        /// What is waited for, since when, by this rank's clock.
        let underWay: @Sendable () -> [(task: StageTask, ranks: [Int], since: Int64)]
        let host: @Sendable (_ rank: Int) -> String?
        let ask: @Sendable (_ rank: Int) -> Void
        let fail: @Sendable (Failure) -> Void
    }

    private struct State {
        var asked: Int64?
        var answers: [Int: StageState] = [:]
        var nextQuestion = Int64.min
        /// When this process was last let go on.
        var resumed = Int64.min
        var ticker: Ticker?
    }

    private let subject: Subject
    private let timeout: Double
    private let state = Mutex(State())

    /// - Parameter timeout: in seconds.
    init(_ subject: Subject, timeout: Double) {
        self.subject = subject
        self.timeout = timeout
    }

    func start() {
        let ticker = Ticker(every: min(max(timeout / 20, 0.05), 1)) { [weak self] in self?.tick(wasStopped: $0) }
        state.withLock { $0.ticker = ticker }
    }

    func stop() {
        let ticker = state.withLock { state in
            defer { state.ticker = nil }
            return state.ticker
        }
        ticker?.stop()
    }

    func answered(_ answer: StageState, from rank: Int) {
        state.withLock { if $0.asked != nil { $0.answers[rank] = answer } }
    }

    private enum Step {
        case ask
        case judge([Int: StageState])
    }

    private func tick(wasStopped: Bool) {
        let now = MonotonicTime.now()
        let waits = subject.underWay()
        let ranks = subject.layout.ranks
        let step = state.withLock { state -> Step? in
            if wasStopped {
                state.resumed = now
                state.asked = nil
            }
            guard let asked = state.asked else {
                guard waits.contains(where: { seconds($0.since, state, now) >= timeout }), now >= state.nextQuestion
                else { return nil }
                state.asked = now
                state.answers = [:]
                return .ask
            }
            guard state.answers.count == ranks || MonotonicTime.seconds(now - asked) >= Self.patience else {
                return nil
            }
            state.asked = nil
            return .judge(state.answers)
        }
        switch step {
        case .ask: for rank in 0..<ranks { subject.ask(rank) }
        case .judge(let answers): judge(answers, waits, now)
        case nil: break
        }
    }

    private func seconds(_ since: Int64, _ state: borrowing State, _ now: Int64) -> Double {
        MonotonicTime.seconds(now - max(since, state.resumed))
    }

    private func judge(
        _ answers: [Int: StageState], _ waits: [(task: StageTask, ranks: [Int], since: Int64)], _ now: Int64
    ) {
        let aged = state.withLock { state in
            waits.map { StallReport.Wait(task: $0.task, ranks: $0.ranks, seconds: seconds($0.since, state, now)) }
        }
        // What was overdue may have come while the ranks were asked.
        guard aged.contains(where: { $0.seconds >= timeout }) else { return }
        let ranks = 0..<subject.layout.ranks
        let hosts = ranks.compactMap { rank in subject.host(rank).map { (rank, $0) } }
        let report = StallReport(
            layout: subject.layout, timeout: timeout, waits: aged, states: answers,
            hosts: Dictionary(uniqueKeysWithValues: hosts))
        if let failure = report.failure {
            stop()
            subject.fail(failure)
        } else {
            let next = now + MonotonicTime.nanoseconds(report.secondsToNextQuestion)
            state.withLock { $0.nextQuestion = next }
        }
    }
}
