import DiffusionModels
import Failures

/// What is known when nothing has come back for too long, and what it means: whether the job stands still, and who holds
/// it up.
package struct StallReport: Sendable {
    /// What is waited for.
    package enum Subject: Sendable {
        case task(StageTask)
        /// A word from the driver that a job was given to: whether its replica moves, it watches itself.
        case order(JobIdentity)

        var task: StageTask? {
            guard case .task(let task) = self else { return nil }
            return task
        }
    }

    /// Something that whoever watches waits for.
    package struct Wait: Sendable {
        let subject: Subject
        /// The ranks that take part in it, in their order.
        let ranks: [Int]
        let seconds: Double

        package init(_ subject: Subject, ranks: [Int], seconds: Double) {
            self.subject = subject
            self.ranks = ranks
            self.seconds = seconds
        }
    }

    /// The most ranks that are named one by one.
    private static let mostNamed = 4

    let layout: Layout
    /// In seconds.
    let timeout: Double
    let waits: [Wait]
    /// The ranks that were asked.
    let ranks: [Int]
    /// The answers of those that answered.
    let states: [Int: StageState]
    /// The machines of the ranks heard of.
    let hosts: [Int: String]

    package init(
        layout: Layout, timeout: Double, waits: [Wait], ranks: [Int], states: [Int: StageState], hosts: [Int: String]
    ) {
        self.layout = layout
        self.timeout = timeout
        self.waits = waits
        self.ranks = ranks
        self.states = states
        self.hosts = hosts
    }

    /// Why the job can't go on; nil when it does.
    ///
    /// - A rank that does not answer is stopped, or gone: MPI's thread answers whatever the rank computes.
    /// - A rank that has run one task for longer than the limit holds the others up.
    /// - Where no rank that takes part in what is overdue has ended a task for so long, it is lost on its way.
    package var failure: Failure? {
        let silent = ranks.filter { states[$0] == nil }
        // Of strips that wait for each other, the one for which another waits and that waits for none is to blame.
        let stuck = ranks.filter { runningSeconds($0) >= timeout && states[$0]?.awaited == nil }
        let culprits = silent.map(describeSilent) + stuck.map(describeStuck)
        if !culprits.isEmpty {
            return stalled(
                (culprits.prefix(Self.mostNamed) + more(culprits.count, "ranks")).joined(separator: "; ")
                    + victims(of: silent + stuck)
                    + (silent.isEmpty ? "; should that be only slow, give a longer --stall-timeout" : ""))
        }
        let lost = waits.filter {
            $0.subject.task != nil && $0.seconds >= timeout && secondsSinceProgress($0.ranks) >= timeout
        }
        guard let wait = lost.max(by: { $0.seconds < $1.seconds }), let task = wait.subject.task else { return nil }
        return stalled("no rank runs a task: \(describeLost(wait, task))")
    }

    /// In how many seconds, at the earliest, the same question can have another answer.
    package var secondsToNextQuestion: Double {
        let progress = waits.filter { $0.seconds >= timeout }.map { secondsSinceProgress($0.ranks) }.max() ?? 0
        let running = ranks.map(runningSeconds).max() ?? 0
        return min(max(timeout - max(progress, running), timeout / 10), timeout)
    }

    private func stalled(_ reason: String) -> Failure {
        let longest = max(waits.map(\.seconds).max() ?? 0, timeout)
        return .internalFault("no progress for \(Self.whole(longest)) s: \(reason)")
    }

    private func runningSeconds(_ rank: Int) -> Double { states[rank]?.running?.seconds ?? 0 }

    /// How long ago any of `ranks` ended a task, or how long it has run one.
    private func secondsSinceProgress(_ ranks: [Int]) -> Double {
        let ages = ranks.compactMap { states[$0] }.flatMap { [$0.finished?.seconds, $0.running?.seconds] }
        return ages.compactMap { $0 }.min() ?? .infinity
    }

    // MARK: Words

    func name(_ rank: Int) -> String {
        "rank \(rank)" + (hosts[rank].map { " on \($0)" } ?? "")
    }

    private func describeStuck(_ rank: Int) -> String {
        guard let running = states[rank]?.running else { return name(rank) }
        return "\(name(rank)) has run \(describe(running.task, on: rank)) for \(Self.whole(running.seconds)) s"
    }

    private func describeSilent(_ rank: Int) -> String {
        let what =
            hosts[rank] == nil
            ? "has not begun to serve (it reads its share of the model still, or is stopped)"
            : "does not answer (it is stopped, or its machine or network is gone)"
        return "\(name(rank)) \(what)" + (taskInvolving(rank).map { ", and has \($0)" } ?? "")
    }

    /// What a rank that does not say so itself has to do, as far as the others know.
    private func taskInvolving(_ rank: Int) -> String? {
        let involving = waits.filter { $0.ranks.contains(rank) }.sorted { $0.seconds > $1.seconds }
        guard let wait = involving.first else { return nil }
        for (source, state) in states.sorted(by: { $0.key < $1.key }) where state.destination == rank {
            guard case .leg(let pass, let leg) = state.finished?.task,
                let ranks = involving.first(where: { $0.subject.task?.pass == pass })?.ranks,
                let from = ranks.firstIndex(of: source), let to = ranks.firstIndex(of: rank)
            else { continue }
            let next = from < to ? leg : leg.isGradient ? .downGradient : .up
            return describe(.leg(pass, next), on: rank)
        }
        switch wait.subject {
        case .order(let job): return "job \(job.number)"
        case .task(let task):
            guard case .leg = task, wait.ranks.first != rank else { return describe(task, on: rank) }
            return "a part of \(describe(task, on: nil))"
        }
    }

    private func describeLost(_ wait: Wait, _ task: StageTask) -> String {
        let what = "\(describe(task, on: nil)) has been under way for \(Self.whole(wait.seconds)) s"
        for rank in wait.ranks {
            guard let state = states[rank], let finished = state.finished, finished.task.pass == task.pass,
                let destination = state.destination
            else { continue }
            return
                "\(what); \(name(rank)) ended \(describe(finished.task, on: rank)) \(Self.whole(finished.seconds)) s "
                + "ago, for \(name(destination))"
        }
        return "\(what), by \(wait.ranks.map(name).joined(separator: ", "))"
    }

    /// The ranks that have nothing to do because of the others.
    private func victims(of culprits: [Int]) -> String {
        let involved = Set(waits.flatMap(\.ranks)).subtracting(culprits)
        let idle = involved.filter { states[$0]?.running == nil || states[$0]?.awaited != nil }.sorted()
        guard let last = idle.last else { return "" }
        guard idle.count > 1 else { return "; rank \(last) waits" }
        let list =
            idle.count > 2 * Self.mostNamed
            ? "\(idle.count) ranks" : "ranks \(idle.dropLast().map(String.init).joined(separator: ", ")) and \(last)"
        return "; \(list) wait"
    }

    private func more(_ count: Int, _ what: String) -> [String] {
        count > Self.mostNamed ? ["and \(count - Self.mostNamed) more \(what)"] : []
    }

    private func describe(_ task: StageTask, on rank: Int?) -> String {
        guard case .leg(let pass, let leg) = task else {
            guard case .picture(let job, let work, _) = task else { return "" }
            return "`\(work)` of job \(job.number)"
        }
        var parts = ["\(pass.branch)", "pass \(pass.number)"]
        if let rungs = rank.flatMap(layout.place).map({ layout.stages[$0.stage] }) { parts.append(rungs.rungText) }
        return "`\(leg)` of job \(pass.job.number) (\(parts.joined(separator: ", ")))"
    }

    /// Rounded down, so that no number exceeds what was waited.
    private static func whole(_ seconds: Double) -> String { "\(Int(min(max(seconds, 0), 1e9)))" }
}

extension Range<Int> {
    /// `rungs 3..5`, both of them included, or `rung 3`.
    var rungText: String { count == 1 ? "rung \(lowerBound)" : "rungs \(lowerBound)..\(upperBound - 1)" }
}
