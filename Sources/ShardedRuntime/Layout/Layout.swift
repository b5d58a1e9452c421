import DiffusionModels

/// Which rank computes what: replicas x branches x stages x strips.
///
/// A replica is all it takes to make a picture, and pictures are dealt to replicas; the two branches of guidance of one
/// evaluation are computed by as many chains of stages as `branches` says; a stage is a run of rungs of the UNet's
/// ladder; a strip is the rows of a stage's activations that one rank holds. Ranks beyond these are idle.
///
/// Rank numbers count strips fastest, then branches, then stages, then replicas: launchers put neighbouring ranks on one
/// machine, where strips, which have the most to say to each other, do it through memory, and where the ranks that hold
/// the same weights, one stage of every branch, share them.
///
/// The first strip of a stage is its voice: it alone talks to other stages and to the driver, and tells the other strips
/// what to do.
public struct Layout: Sendable, Equatable, Codable {
    public let replicas: Int
    /// How many chains of stages a replica has: 1, which computes both branches, or 2.
    public let branches: Int
    /// The rungs of each stage, from the top of the ladder.
    public let stages: [Range<Int>]
    /// Among how many ranks the rows of each stage are dealt.
    public let strips: Int
    /// The stage whose ranks encode and decode pictures beside: the one with the most time to spare.
    public let pictureStage: Int
    /// Whether the ranks that hold this stage in both chains encode and decode a picture together, by rows. That is for one
    /// picture alone, which is there sooner: in a stream of them the ranks would wait for each other's passes, and where
    /// each chain has strips, in a circle.
    public let sharesPictures: Bool

    /// - Precondition: the stages follow each other from rung 0 on, and none is empty.
    public init(
        replicas: Int = 1, branches: Int, stages: [Range<Int>], strips: Int = 1, pictureStage: Int = 0,
        sharesPictures: Bool = false
    ) {
        precondition(replicas > 0 && strips > 0, "a layout has at least one replica, and one strip")
        precondition((1...GuidanceBranch.allCases.count).contains(branches), "a layout has 1 or 2 branches")
        precondition(Self.follow(stages), "stages must follow each other")
        precondition(stages.indices.contains(pictureStage), "pictures are worked on by a stage that there is")
        self.replicas = replicas
        self.branches = branches
        self.stages = stages
        self.strips = strips
        self.pictureStage = pictureStage
        self.sharesPictures = sharesPictures
    }

    /// The layout of one rank, which holds the whole ladder.
    public static func alone(rungs: Int) -> Layout { Layout(branches: 1, stages: [0..<rungs]) }

    /// How many ranks it uses.
    public var ranks: Int { replicas * ranksOfReplica }
    /// How many ranks make a replica.
    public var ranksOfReplica: Int { branches * stages.count * strips }
    /// How many rungs the ladder has.
    public var rungCount: Int { stages.last?.upperBound ?? 0 }

    /// What one rank is.
    public struct Place: Sendable, Hashable {
        public let replica: Int
        /// Which of the replica's chains of stages.
        public let chain: Int
        public let stage: Int
        public let strip: Int

        init(replica: Int, chain: Int, stage: Int, strip: Int = 0) {
            self.replica = replica
            self.chain = chain
            self.stage = stage
            self.strip = strip
        }
    }

    /// What `rank` is; nil for one that is idle.
    public func place(of rank: Int) -> Place? {
        guard (0..<ranks).contains(rank) else { return nil }
        let (replica, inside) = rank.quotientAndRemainder(dividingBy: ranksOfReplica)
        let (upper, strip) = inside.quotientAndRemainder(dividingBy: strips)
        let (stage, chain) = upper.quotientAndRemainder(dividingBy: branches)
        return Place(replica: replica, chain: chain, stage: stage, strip: strip)
    }

    public func rank(of place: Place) -> Int {
        ((place.replica * stages.count + place.stage) * branches + place.chain) * strips + place.strip
    }

    /// The rank that runs the samplers of a replica's jobs: its first.
    public func driver(ofReplica replica: Int) -> Int { replica * ranksOfReplica }

    /// The ranks of a replica.
    public func ranks(ofReplica replica: Int) -> Range<Int> {
        replica * ranksOfReplica..<(replica + 1) * ranksOfReplica
    }

    /// The ranks of all strips of a place's stage, from the top down.
    public func ranksOfStrips(at place: Place) -> [Int] {
        let first = rank(of: Place(replica: place.replica, chain: place.chain, stage: place.stage))
        return Array(first..<first + strips)
    }

    /// The first strips of the chain that computes `branch`, from the stage of the ladder's top to that of its bottom.
    public func chain(of branch: GuidanceBranch, replica: Int) -> [Int] {
        let chain = branch.rawValue * branches / GuidanceBranch.allCases.count
        return stages.indices.map { rank(of: Place(replica: replica, chain: chain, stage: $0)) }
    }

    /// All ranks of the chain that computes `branch`, stage after stage, strip after strip.
    public func ranks(of branch: GuidanceBranch, replica: Int) -> [Int] {
        chain(of: branch, replica: replica).flatMap { $0..<$0 + strips }
    }

    /// The branches that a rank at `place` computes.
    public func branches(at place: Place) -> [GuidanceBranch] {
        GuidanceBranch.allCases.filter { $0.rawValue * branches / GuidanceBranch.allCases.count == place.chain }
    }

    /// The ranks that hold the weights of one stage, in all replicas.
    public func ranks(ofStage stage: Int) -> [Int] {
        (0..<ranks).filter { place(of: $0)?.stage == stage }
    }

    /// Whether `rank` has a part in encoding and decoding pictures.
    public func worksOnPictures(_ rank: Int) -> Bool {
        guard let place = place(of: rank) else { return false }
        return pictureTeam(of: place.replica).contains(rank)
    }

    /// The ranks of a replica that encode and decode a picture, each some rows of it; the first tells the others. They
    /// are the strips of one stage, of both chains where these share pictures.
    public func pictureTeam(of replica: Int) -> [Int] {
        let chains = sharesPictures ? Array((0..<branches).reversed()) : [branches - 1]
        return chains.flatMap { ranksOfStrips(at: Place(replica: replica, chain: $0, stage: pictureStage)) }
    }

    /// The rank of each replica that is asked to encode and decode pictures, and tells the others of its team.
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
    /// As `--layout` reads it: `replicas=1,branches=2,stages=3`, and `,strips=4` where there are several.
    public var description: String {
        "replicas=\(replicas),branches=\(branches),stages=\(stages.count)" + (strips > 1 ? ",strips=\(strips)" : "")
    }
}
