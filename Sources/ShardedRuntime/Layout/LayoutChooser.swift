import DiffusionModels
import Failures
import NeuralLayers

/// Finds the layout for the ranks that there are: the one that is asked for, or the best.
public struct LayoutChooser: Sendable {
    /// A layout, and what to tell who asked for it.
    public struct Choice: Sendable, Equatable {
        public let layout: Layout
        /// Why ranks stay idle, and how many would be used well; nil when all are.
        public let note: String?
    }

    /// The most stages that a layout may have.
    public static let mostStages = 12

    private let costs: [Double]
    private let ranks: Int
    private let pictures: Int

    /// - Parameters:
    ///   - costs: of each rung, in any unit; the middle's count to the last.
    ///   - ranks: how many there are.
    ///   - pictures: how many are to be made, as far as that is known.
    public init(costs: [Double], ranks: Int, pictures: Int) {
        precondition(ranks > 0 && !costs.isEmpty && pictures > 0, "there is at least a rank, a rung and a picture")
        self.costs = costs
        self.ranks = ranks
        self.pictures = pictures
    }

    /// - Throws: `Failure.usage` with the numbers when what is asked for can't be had.
    public func choose(_ request: LayoutRequest) throws -> Choice {
        switch request {
        case .auto: return best()
        case .numbers(let replicas, let branches, let stages):
            guard stages <= min(costs.count, Self.mostStages) else {
                throw Failure.usage(
                    "--layout stages: this model's ladder has \(costs.count) rungs, which make "
                        + "\(min(costs.count, Self.mostStages)) stages at most, found \(stages)")
            }
            let (ofReplica, overflows) = (branches * stages).multipliedReportingOverflow(by: replicas)
            guard !overflows, ofReplica == ranks else {
                let product = overflows ? "more" : "\(ofReplica)"
                throw Failure.usage(
                    "--layout: \(replicas) replicas x \(branches) branches x \(stages) stages are \(product) ranks, and "
                        + "\(ranks) were started; \(ranks) are \(factorisations)")
            }
            return Choice(layout: layout(replicas: replicas, branches: branches, stages: stages), note: nil)
        }
    }

    /// One picture: its branches. Many: replicas, and branches where ranks are left.
    private func best() -> Choice {
        let replicas = min(ranks, pictures)
        let branches = min(GuidanceBranch.allCases.count, ranks / replicas)
        let layout = layout(replicas: replicas, branches: branches, stages: 1)
        guard layout.ranks < ranks else { return Choice(layout: layout, note: nil) }
        let work = pictures == 1 ? "one picture uses" : "\(pictures) pictures use"
        let idle = ranks - layout.ranks
        return Choice(
            layout: layout,
            note: "\(ranks) ranks were started, and \(work) \(layout.ranks) at best (\(layout)): "
                + "\(idle) \(idle == 1 ? "stays" : "stay") idle; start \(layout.ranks), and give each more --threads")
    }

    private func layout(replicas: Int, branches: Int, stages: Int) -> Layout {
        let cuts = StageCuts.balanced(costs: costs, stages: stages) ?? [0..<costs.count]
        let loads = cuts.map { costs[$0].reduce(0, +) }
        let lightest = loads.indices.min { loads[$0] < loads[$1] } ?? 0
        return Layout(replicas: replicas, branches: branches, stages: cuts, pictureStage: lightest)
    }

    /// All ways to use just the ranks that there are.
    private var factorisations: String {
        var ways: [String] = []
        for branches in 1...GuidanceBranch.allCases.count where ranks % branches == 0 {
            for stages in 1...min(costs.count, Self.mostStages) where ranks / branches % stages == 0 {
                ways.append("replicas=\(ranks / branches / stages),branches=\(branches),stages=\(stages)")
            }
        }
        return ways.joined(separator: " or ")
    }
}

extension LadderWork {
    /// Operations of each rung, both sides, the middle's with the last.
    public var rungOperations: [Double] {
        var costs = rungs.map { $0.down.operations + $0.up.operations }
        costs[costs.count - 1] += middle.operations
        return costs
    }
}

extension Layout {
    /// How many jobs a replica works on at once, so that no stage waits: with one stage a second job only where ranks
    /// wait for each other's branches, with more about two passes for every stage.
    public var jobsToKeepBusy: Int {
        stages.count > 1 ? 2 * stages.count : branches
    }

    /// How many jobs a replica works on at once: its share of those that are asked for, or as many as keep it busy and
    /// there are.
    public func jobsOfReplica(_ asked: Int?, pictures: Int?) -> Int {
        let wanted = asked.map { ($0 + replicas - 1) / replicas } ?? jobsToKeepBusy
        return max(1, min(wanted, pictures ?? wanted))
    }
}
