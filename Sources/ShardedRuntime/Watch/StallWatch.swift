import Failures
import Synchronization

/// The driver's watch over all ranks: asks them what they are at when something has not come back for long, tells since
/// when and from whom, and ends the job when it stands still for too long.
final class StallWatch: Sendable {
    /// How long a rank may take to say what it is at: a message there and back, while its machine is busy.
    private static let longestAnswer = 5.0

    /// What the watch sees of the driver.
    struct Subject: Sendable {
        let layout: Layout
        /// What is waited for, since when, by this rank's clock.
        let underWay: @Sendable () -> [(task: StageTask, ranks: [Int], since: Int64)]
        /// When anything that was waited for last came, by the same clock.
        let lastArrival: @Sendable () -> Int64
        let host: @Sendable (_ rank: Int) -> String?
        let ask: @Sendable (_ rank: Int) -> Void
        /// Hears of a wait that has grown long, again and again; of nil when it is over.
        let notify: @Sendable (StallNotice?) -> Void
        let fail: @Sendable (Failure) -> Void
    }

    private struct State {
        var asked: Int64?
        var answers: [Int: StageState] = [:]
        var nextQuestion = Int64.min
        /// When this process was last let go on.
        var resumed = Int64.min
        /// What was told last, and when.
        var told: (notice: StallNotice, time: Int64)?
        var ticker: Ticker?
    }

    private let subject: Subject
    private let timeout: Double
    /// After how long a wait is worth a word, and how often the ranks are asked then.
    private let patience: Double
    private var interval: Double { patience / 2 }
    /// When a rank that was asked and has not answered so far is worth a word.
    private var lateAnswer: Double { patience / 5 }
    private let state = Mutex(State())

    init(_ subject: Subject, _ observation: Observation) {
        self.subject = subject
        timeout = observation.stallTimeout
        patience = observation.patience
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
        /// Some ranks have not answered so far.
        case wait([Int: StageState])
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
                guard waits.contains(where: { seconds($0.since, state, now) >= patience }), now >= state.nextQuestion
                else { return nil }
                state.asked = now
                state.answers = [:]
                return .ask
            }
            let passed = MonotonicTime.seconds(now - asked)
            if state.answers.count < ranks, passed < Self.longestAnswer {
                return passed < lateAnswer ? nil : .wait(state.answers)
            }
            state.asked = nil
            return .judge(state.answers)
        }
        switch step {
        case .ask: for rank in 0..<ranks { subject.ask(rank) }
        case .wait(let answers): tell(report(answers, waits, now), now)
        case .judge(let answers): judge(report(answers, waits, now), now)
        case nil: break
        }
        if hasMoved(waits, now) { tell(nil) }
    }

    private func seconds(_ since: Int64, _ state: borrowing State, _ now: Int64) -> Double {
        MonotonicTime.seconds(now - max(since, state.resumed))
    }

    private func report(
        _ answers: [Int: StageState], _ waits: [(task: StageTask, ranks: [Int], since: Int64)], _ now: Int64
    ) -> StallReport {
        let aged = state.withLock { state in
            waits.map { StallReport.Wait(task: $0.task, ranks: $0.ranks, seconds: seconds($0.since, state, now)) }
        }
        let ranks = 0..<subject.layout.ranks
        let hosts = ranks.compactMap { rank in subject.host(rank).map { (rank, $0) } }
        return StallReport(
            layout: subject.layout, timeout: timeout, waits: aged, states: answers,
            hosts: Dictionary(uniqueKeysWithValues: hosts))
    }

    private func judge(_ report: StallReport, _ now: Int64) {
        let longest = report.waits.map(\.seconds).max() ?? 0
        // What was overdue may have come while the ranks were asked.
        if longest >= timeout, let failure = report.failure {
            stop()
            subject.fail(failure)
            return
        }
        tell(report, now)
        let limit = longest >= timeout ? report.secondsToNextQuestion : timeout - longest
        let next = now + MonotonicTime.nanoseconds(min(interval, limit))
        state.withLock { $0.nextQuestion = next }
    }

    // MARK: Notices

    private func tell(_ report: StallReport, _ now: Int64) {
        let arrival = subject.lastArrival()
        let passed = state.withLock { seconds(arrival, $0, now) }
        tell(report.notice(patience: patience, secondsSinceArrival: passed))
    }

    private func tell(_ notice: StallNotice?) {
        let isNews = state.withLock { state in
            defer { state.told = notice.map { ($0, MonotonicTime.now()) } }
            return notice != nil || state.told != nil
        }
        if isNews { subject.notify(notice) }
    }

    /// Whether what was told last is not true any more, for all that is known without asking.
    private func hasMoved(_ waits: [(task: StageTask, ranks: [Int], since: Int64)], _ now: Int64) -> Bool {
        let arrival = subject.lastArrival()
        return state.withLock { state in
            guard let told = state.told else { return false }
            // What others send does not make a rank answer that did not.
            let isAboutArrivals = told.notice.cause == .work || told.notice.cause == .transit
            return isAboutArrivals && arrival > told.time
                || !waits.contains { seconds($0.since, state, now) >= patience }
        }
    }
}
