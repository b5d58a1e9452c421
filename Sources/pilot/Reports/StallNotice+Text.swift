import ShardedRuntime

extension StallNotice {
    /// For a log: `nothing for 12 s from rank 1 on node-1: no answer (…)`.
    func text(seconds: Double) -> String { "nothing for \(Int(seconds)) s from \(ranks): \(explanation)" }

    /// For a bar: `nothing for 0:12 from rank 1 on node-1, no answer`.
    func brief(seconds: Double) -> String { "nothing for \(ProgressReport.clock(seconds)) from \(ranks), \(word)" }

    private var word: String {
        switch cause {
        case .silence: "no answer"
        case .absence: "not yet there"
        case .work: "computing"
        case .transit: "idle"
        }
    }

    private var explanation: String {
        switch cause {
        case .silence: "no answer (stopped, or the machine or network is gone)"
        case .absence: "not yet there (the model is being read, or the rank is stopped)"
        case .work: "computing"
        case .transit: "idle, so what they wait for is on its way, or lost"
        }
    }
}
