import DiffusionModels

/// Which rank computes what: replicas x branches x stages.
///
/// A replica is all it takes to make a picture, and pictures are dealt to replicas; the two branches of guidance of one
/// evaluation are computed by as many chains of stages as `branches` says; a stage is a run of rungs of the UNet's
/// ladder. Ranks beyond these are idle. Strips, rows of one stage on several ranks, would be the innermost dimension.
///
/// Rank numbers count branches fastest, then stages, then replicas: launchers put neighbouring ranks on one machine,
/// and the ranks that hold the same weights, one stage of every branch, share them there.
public struct Layout: Sendable, Equatable, Codable {
    public let replicas: Int
    /// How many chains of stages a replica has: 1, which computes both branches, or 2.
    public let branches: Int
    /// The rungs of each stage, from the top of the ladder.
    public let stages: [Range<Int>]
    /// The stage whose ranks encode and decode pictures beside: the one with the most time to spare.
    public let pictureStage: Int

    /// - Precondition: the stages follow each other from rung 0 on, and none is empty.
    public init(replicas: Int = 1, branches: Int, stages: [Range<Int>], pictureStage: Int = 0) {
        precondition(replicas > 0, "a layout has at least one replica")
        precondition((1...GuidanceBranch.allCases.count).contains(branches), "a layout has 1 or 2 branches")
        precondition(Self.follow(stages), "stages must follow each other")
        precondition(stages.indices.contains(pictureStage), "pictures are worked on by a stage that there is")
        self.replicas = replicas
        self.branches = branches
        self.stages = stages
        self.pictureStage = pictureStage
    }

    /// The layout of one rank, which holds the whole ladder.
    public static func alone(rungs: Int) -> Layout { Layout(branches: 1, stages: [0..<rungs]) }

    /// How many ranks it uses.
    public var ranks: Int { replicas * ranksOfReplica }
    /// How many ranks make a replica.
    public var ranksOfReplica: Int { branches * stages.count }
    /// How many rungs the ladder has.
    public var rungCount: Int { stages.last?.upperBound ?? 0 }

    /// What one rank is.
    public struct Place: Sendable, Hashable {
        public let replica: Int
        /// Which of the replica's chains of stages.
        public let chain: Int
        public let stage: Int
    }

    /// What `rank` is; nil for one that is idle.
    public func place(of rank: Int) -> Place? {
        guard (0..<ranks).contains(rank) else { return nil }
        let (replica, inside) = rank.quotientAndRemainder(dividingBy: ranksOfReplica)
        let (stage, chain) = inside.quotientAndRemainder(dividingBy: branches)
        return Place(replica: replica, chain: chain, stage: stage)
    }

    public func rank(of place: Place) -> Int {
        (place.replica * stages.count + place.stage) * branches + place.chain
    }

    /// The ranks of the chain that computes `branch`, from the stage of the ladder's top to that of its bottom.
    public func chain(of branch: GuidanceBranch, replica: Int) -> [Int] {
        let chain = branch.rawValue * branches / GuidanceBranch.allCases.count
        return stages.indices.map { rank(of: Place(replica: replica, chain: chain, stage: $0)) }
    }

    /// The branches that a rank at `place` computes.
    public func branches(at place: Place) -> [GuidanceBranch] {
        GuidanceBranch.allCases.filter { $0.rawValue * branches / GuidanceBranch.allCases.count == place.chain }
    }

    /// The ranks that hold the weights of one stage, in all replicas.
    public func ranks(ofStage stage: Int) -> [Int] {
        (0..<ranks).filter { place(of: $0)?.stage == stage }
    }

    /// The rank of each replica that encodes and decodes pictures.
    public var pictureRanks: [Int] {
        (0..<replicas).map { rank(of: Place(replica: $0, chain: branches - 1, stage: pictureStage)) }
    }

    /// How many passes of one job are under way at most on one rank.
    public var passesOfJob: Int { GuidanceBranch.allCases.count / branches }

    private static func follow(_ stages: [Range<Int>]) -> Bool {
        var next = 0
        for stage in stages {
            guard stage.lowerBound == next, !stage.isEmpty else { return false }
            next = stage.upperBound
        }
        return next > 0
    }
}

extension Layout: CustomStringConvertible {
    /// As `--layout` reads it: `replicas=1,branches=2,stages=3`.
    public var description: String { "replicas=\(replicas),branches=\(branches),stages=\(stages.count)" }
}
