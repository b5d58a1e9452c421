import Failures
import Synchronization

/// A driver's watch over the ranks of its replica, and rank 0's over the drivers as well: asks them what they are at when
/// something has not come back for long, tells since when and from whom, and ends the job when it stands still for too
/// long.
final class StallWatch: Sendable {
    /// How long a rank may take to say what it is at: a message there and back, while its machine is busy.
    private static let longestAnswer = 5.0

    /// What the watch sees of whoever waits.
    struct Subject: Sendable {
        let layout: Layout
        /// The ranks that are asked in any case; others are when something of theirs is overdue.
        let ownRanks: Range<Int>
        /// What is waited for.
        let underWay: @Sendable () -> [PendingWait]
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
        /// Who was asked then.
        var ranks: [Int] = []
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
        state.withLock { if $0.asked != nil, $0.ranks.contains(rank) { $0.answers[rank] = answer } }
    }

    private enum Step {
        case ask([Int])
        /// Some ranks have not answered so far.
        case wait([Int], [Int: StageState])
        case judge([Int], [Int: StageState])
    }

    private func tick(wasStopped: Bool) {
        let now = MonotonicTime.now()
        let waits = subject.underWay()
        let step = state.withLock { state -> Step? in
            if wasStopped {
                state.resumed = now
                state.asked = nil
            }
            guard let asked = state.asked else {
                let overdue = waits.filter { seconds($0.since, state, now) >= patience }
                guard !overdue.isEmpty, now >= state.nextQuestion else { return nil }
                state.asked = now
                state.ranks = Set(subject.ownRanks).union(overdue.flatMap(\.ranks)).sorted()
                state.answers = [:]
                return .ask(state.ranks)
            }
            let passed = MonotonicTime.seconds(now - asked)
            if state.answers.count < state.ranks.count, passed < Self.longestAnswer {
                return passed < lateAnswer ? nil : .wait(state.ranks, state.answers)
            }
            state.asked = nil
            return .judge(state.ranks, state.answers)
        }
        switch step {
        case .ask(let ranks): for rank in ranks { subject.ask(rank) }
        case .wait(let ranks, let answers): tell(report(ranks, answers, waits, now), now)
        case .judge(let ranks, let answers): judge(report(ranks, answers, waits, now), now)
        case nil: break
        }
        if hasMoved(waits, now) { tell(nil) }
    }

    private func seconds(_ since: Int64, _ state: borrowing State, _ now: Int64) -> Double {
        MonotonicTime.seconds(now - max(since, state.resumed))
    }

    private func report(
        _ ranks: [Int], _ answers: [Int: StageState], _ waits: [PendingWait], _ now: Int64
    ) -> StallReport {
        // What has become overdue since then is judged when its ranks were asked.
        let known = waits.filter { Set($0.ranks).isSubset(of: ranks) }
        let aged = state.withLock { state in
            known.map { StallReport.Wait($0.subject, ranks: $0.ranks, seconds: seconds($0.since, state, now)) }
        }
        let hosts = ranks.compactMap { rank in subject.host(rank).map { (rank, $0) } }
        return StallReport(
            layout: subject.layout, timeout: timeout, waits: aged, ranks: ranks, states: answers,
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
    private func hasMoved(_ waits: [PendingWait], _ now: Int64) -> Bool {
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
