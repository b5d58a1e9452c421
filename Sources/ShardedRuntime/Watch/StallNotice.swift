/// What is known of a wait that has grown long, for whoever watches the job: since when nothing came, and from whom.
public struct StallNotice: Sendable, Equatable {
    public enum Cause: UInt8, Sendable, Equatable {
        /// The ranks do not answer: they are stopped, or their machines or their network are gone.
        case silence = 1
        /// The ranks have not begun to serve: they read their share of the model still, or are stopped.
        case absence
        /// The ranks answer, and compute.
        case work
        /// The ranks answer, and have nothing to do: what they wait for is on its way.
        case transit
    }

    public let cause: Cause
    /// How long, in seconds, nothing came of what is waited for.
    public let seconds: Double
    /// `rank 1 on node-1 and rank 2 on node-2`, or how many there are and the first of them.
    public let ranks: String

    public init(cause: Cause, seconds: Double, ranks: String) {
        self.cause = cause
        self.seconds = seconds
        self.ranks = ranks
    }
}

extension StallReport {
    /// What to tell while the job is not given up.
    ///
    /// Ranks that do not answer matter only to what is waited for; when all answer, it matters that nothing comes at
    /// all: a stream of pictures has waits of any age, and moves.
    ///
    /// - Parameters:
    ///   - patience: the seconds after which a wait is worth a word.
    ///   - secondsSinceArrival: how long ago anything came from any rank.
    package func notice(patience: Double, secondsSinceArrival: Double) -> StallNotice? {
        let overdue = waits.filter { $0.seconds >= patience }.sorted { $0.seconds > $1.seconds }
        for wait in overdue {
            let missing = wait.ranks.filter { states[$0] == nil }
            guard !missing.isEmpty else { continue }
            let absent = missing.filter { hosts[$0] == nil }
            return StallNotice(
                cause: absent.isEmpty ? .silence : .absence, seconds: wait.seconds,
                ranks: list(absent.isEmpty ? missing : absent))
        }
        guard let oldest = overdue.first, secondsSinceArrival >= patience else { return nil }
        let working = oldest.ranks.filter { states[$0]?.running != nil }
        return StallNotice(
            cause: working.isEmpty ? .transit : .work, seconds: min(oldest.seconds, secondsSinceArrival),
            ranks: list(working.isEmpty ? oldest.ranks : working))
    }

    private func list(_ ranks: [Int]) -> String {
        let names = ranks.sorted().map(name)
        switch names.count {
        case 1: return names[0]
        case 2: return "\(names[0]) and \(names[1])"
        default: return "\(names.count) ranks, \(names.first ?? "none") the first"
        }
    }
}
