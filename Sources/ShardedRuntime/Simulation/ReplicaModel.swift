import DiffusionModels

/// What a simulation knows of one replica: what each task takes, and each message.
struct ReplicaModel: Sendable {
    /// Of the replica alone, its ranks numbered from 0; strips, which do the same at the same time, count as one.
    let layout: Layout
    let jobsInFlight: Int
    let passes: PicturePasses
    /// Seconds of each stage's legs, by the leg's number.
    private let legSeconds: [[Double]]
    /// Seconds until a leg's result has come from one stage's rank to the next, by chain, stage and leg.
    private let messageSeconds: [[[Double]]]
    /// Seconds between each rank and the replica's driver, for a latent.
    let driverSeconds: [Double]
    /// Seconds between the rank that works on pictures and rank 0, which asks for that and has what comes of it.
    let dealerSeconds: Double
    private let pictureSeconds: [PictureWork: Double]
    private let bits: [PictureWork: Int]
    let overhead: Double
    /// What the driver computes for each round.
    let roundSeconds: Double
    let pictureRank: Int

    /// - Parameters:
    ///   - replica: which one; it decides on which machines the ranks are.
    ///   - thinning: how many times fewer rounds a picture has here than in truth; work on the picture itself takes as
    ///     many times less.
    init(
        _ layout: Layout, replica: Int, jobsInFlight: Int, passes: PicturePasses, thinning: Double, costs: LadderCosts,
        machine: SimulatedMachine
    ) {
        let alone = Layout(branches: layout.branches, stages: layout.stages, pictureStage: layout.pictureStage)
        let first = replica * layout.ranksOfReplica
        let lastStrip = first + layout.strips - 1
        let link = machine.link(from: first, to: lastStrip)
        let times = machine.times.inStrips(layout.strips, over: link)
        let slowdown = machine.slowdown(ranks: min(layout.ranks, machine.cluster.ranksPerNode))
        self.layout = alone
        self.jobsInFlight = jobsInFlight
        self.passes = passes
        legSeconds = layout.stages.map { stage in
            [0] + Leg.allCases.map { slowdown * times.seconds(of: $0, on: stage) }
        }
        messageSeconds = (0..<layout.branches).map { chain in
            layout.stages.indices.map { stage in
                [0]
                    + Leg.allCases.map { leg in
                        guard let next = Self.next(leg, stage, of: alone) else { return 0 }
                        func rank(_ stage: Int) -> Int {
                            first + layout.strips * alone.rank(of: Layout.Place(replica: 0, chain: chain, stage: stage))
                        }
                        let bytes = costs.messageBytes(of: leg, from: layout.stages[stage])
                        // The first strip gives what comes to the others.
                        return machine.seconds(from: rank(stage), to: rank(next.stage), bytes)
                            + (layout.strips > 1 ? link.seconds(bytes) : 0)
                    }
            }
        }
        driverSeconds = (0..<alone.ranks).map {
            machine.seconds(from: first, to: first + layout.strips * $0, costs.latentBytes)
        }
        dealerSeconds = machine.seconds(
            from: 0, to: first + layout.strips * alone.pictureRanks[0], costs.latentBytes)
        let scale = slowdown / thinning
        let team = layout.pictureTeam(of: replica)
        let pictureTimes = machine.times.inStrips(
            team.count, over: machine.link(from: team.min() ?? first, to: team.max() ?? first))
        pictureSeconds = Dictionary(
            uniqueKeysWithValues: PictureWork.allCases.map { ($0, scale * pictureTimes.seconds(of: $0)) })
        bits = costs.pictures.bits
        overhead = machine.calibration.taskOverhead
        roundSeconds = machine.calibration.driverSeconds
        pictureRank = alone.pictureRanks[0]
    }

    /// Which stage a leg's result goes to, as what; nil for the driver.
    static func next(_ leg: Leg, _ stage: Int, of layout: Layout) -> (stage: Int, leg: Leg)? {
        let isLast = stage + 1 == layout.stages.count
        if (leg == .down || leg == .upGradient) && !isLast { return (stage + 1, leg) }
        return stage > 0 ? (stage - 1, leg.isGradient ? .downGradient : .up) : nil
    }

    func seconds(of task: StageTask, on rank: Int) -> Double {
        switch task {
        case .leg(_, let leg): legSeconds[rank / layout.branches][Int(leg.rawValue)]
        case .picture(_, let work, _): (pictureSeconds[work] ?? 0) / Double(bitCount(of: work))
        }
    }

    func messageSeconds(of leg: Leg, from rank: Int) -> Double {
        messageSeconds[rank % layout.branches][rank / layout.branches][Int(leg.rawValue)]
    }

    /// In how many bits a picture's work is done; each prompt is embedded by itself.
    func bitCount(of work: PictureWork) -> Int { work == .embed ? GuidanceBranch.allCases.count : bits[work] ?? 1 }

    /// How many tasks a picture is.
    var tasksOfPicture: Int {
        let legs = 2 * layout.stages.count - 1
        let pictures = PictureWork.allCases.reduce(0) { $0 + bitCount(of: $1) }
        return pictures + GuidanceBranch.allCases.count * legs * (passes.rounds.count + passes.recordedCount)
    }
}

/// The machines of a simulation: how fast they compute, and how messages travel.
struct SimulatedMachine: Sendable {
    let cluster: Cluster
    let times: TaskTimes
    let calibration: Calibration
    let slowdownPerNeighbour: Double
    /// Between machines.
    let network: Calibration.Link

    func seconds(from source: Int, to target: Int, _ bytes: Int) -> Double {
        source == target ? 0 : link(from: source, to: target).seconds(bytes)
    }

    func link(from source: Int, to target: Int) -> Calibration.Link {
        source / cluster.ranksPerNode == target / cluster.ranksPerNode ? calibration.node : network
    }

    /// How much slower tasks are where `ranks` work on one machine.
    func slowdown(ranks: Int) -> Double { 1 + slowdownPerNeighbour * Double(ranks - 1) }
}
