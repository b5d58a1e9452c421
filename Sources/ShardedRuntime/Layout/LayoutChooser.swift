import DiffusionModels
import Failures
import TensorKernels

/// Finds the layout for the ranks that there are: the one that is asked for, or the best that memory allows.
///
/// One picture: its branches, and stages only where memory asks for them. Many pictures: replicas as long as ranks hold
/// the model, else stages with enough jobs in flight. Both come of one estimate of the time that all pictures take, in
/// which the simpler layout wins where another is not clearly quicker.
public struct LayoutChooser: Sendable {
    /// A layout, and what to tell who asked for it.
    public struct Choice: Sendable, Equatable {
        public let layout: Layout
        /// How many jobs a replica works on at once: as many as keep it busy, or as memory allows.
        public let jobsInFlight: Int
        public let memory: LayoutMemory
        /// About how long all pictures take; `Simulation` knows better.
        public let estimatedSeconds: Double
        /// What the user should know: why ranks stay idle or wait, and what would be better; nil when all is well.
        public let note: String?
    }

    /// The most stages that a layout may have.
    public static let mostStages = 12
    /// A layout is worth more ranks, or more complication, when it is quicker by this share.
    private static let clearlyQuicker = 0.02
    /// So many pictures stand for a stream without an end.
    private static let countless = 1 << 40

    let costs: LadderCosts
    let cluster: Cluster
    let pictures: Int
    let passes: PicturePasses
    let times: TaskTimes
    private let overhead: Double
    private let node: Calibration.Link
    private let network: Calibration.Link
    private let allowsStrips: Bool
    private let memory: MemoryModel

    /// - Parameters:
    ///   - pictures: how many are to be made; `Int.max` for a stream without an end.
    ///   - passes: what each asks of the UNet.
    ///   - node: between ranks of one machine.
    ///   - network: between machines.
    ///   - allowsStrips: whether the product library gives the same bits in strips.
    public init(
        _ costs: LadderCosts, cluster: Cluster, pictures: Int, passes: PicturePasses = .balanced,
        times: TaskTimes, overhead: Double = Calibration.builtIn.taskOverhead,
        node: Calibration.Link = Calibration.builtIn.node, network: Calibration.Link = .ethernet,
        allowsStrips: Bool = true
    ) {
        precondition(pictures > 0 && !passes.rounds.isEmpty, "there is at least a picture, and it asks for something")
        self.costs = costs
        self.cluster = cluster
        self.pictures = pictures
        self.passes = passes
        self.times = times
        self.overhead = overhead
        self.node = node
        self.network = network
        self.allowsStrips = allowsStrips
        memory = MemoryModel(costs, isRecorded: passes.hasGradients, keepsNetworks: pictures > 1)
    }

    /// - Throws: `Failure.usage` with the numbers when what is asked for can't be had, and with what would fit.
    public func choose(_ request: LayoutRequest) throws -> Choice {
        switch request {
        case .auto:
            guard let best = best() else { throw nothingFits() }
            return best
        case .numbers(let numbers):
            try check(numbers)
            guard let choice = candidate(numbers) else { throw doesNotFit(numbers) }
            return choice
        }
    }

    /// All layouts that fit, the quickest first.
    public func candidates() -> [Choice] {
        all().enumerated()
            .sorted { ($0.element.estimatedSeconds, $0.offset) < ($1.element.estimatedSeconds, $1.offset) }
            .map(\.element)
    }

    // MARK: Candidates

    private var mostStages: Int { min(costs.rungCount, Self.mostStages) }

    /// The most strips that are tried: with more, a rank waits for messages most of the time.
    private static let mostStrips = 64

    private func hasStrips(_ strips: Int) -> Bool {
        strips == 1
            || allowsStrips && StripShares(costs, strips: strips, link: node).areThere
    }

    /// Among how many ranks a stage's rows may be dealt: every number up to 8, then fewer and fewer.
    private var stripNumbers: [Int] {
        let most = min(cluster.ranks, Self.mostStrips)
        return (1...most).filter { ($0 <= 8 || $0 % ($0 <= 16 ? 2 : $0 <= 32 ? 4 : 8) == 0) && hasStrips($0) }
    }

    /// The simplest first.
    private func all() -> [Choice] {
        let strips = stripNumbers
        return (1...mostStages).flatMap { stages in
            (1...GuidanceBranch.allCases.count).flatMap { branches in
                strips.compactMap { strips -> Choice? in
                    let replicas = min(cluster.ranks / (branches * stages * strips), pictures)
                    return replicas > 0
                        ? candidate(
                            LayoutNumbers(replicas: replicas, branches: branches, stages: stages, strips: strips)) : nil
                }
            }
        }
    }

    /// Between the ranks that hold the strips of one stage.
    public func link(ofStrips strips: Int) -> Calibration.Link {
        cluster.nodes == 1 || cluster.ranksPerNode % strips == 0 ? node : network
    }

    private func cutter(_ strips: Int) -> StageCutter {
        StageCutter(
            costs, times: timesInStrips(strips), passes: passes, memory: memory)
    }

    private func best() -> Choice? {
        var best: Choice?
        for choice in all() {
            guard let known = best else {
                best = choice
                continue
            }
            if choice.estimatedSeconds < known.estimatedSeconds * (1 - Self.clearlyQuicker) { best = choice }
        }
        return best
    }

    /// The layout with the cut and the jobs in flight that memory allows; nil if it allows none.
    private func candidate(_ numbers: LayoutNumbers) -> Choice? {
        let cutter = cutter(numbers.strips)
        let cuts = cutter.cuts(into: numbers.stages)
        guard let preferred = cuts.first else { return nil }
        let wanted = wantedJobs(of: layout(numbers, preferred, cutter))
        for jobs in (1...wanted).reversed() {
            for cut in cuts {
                let layout = layout(numbers, cut, cutter)
                let memory = memory(of: layout, jobs: jobs)
                guard fits(memory) else { continue }
                return Choice(
                    layout: layout, jobsInFlight: jobs, memory: memory,
                    estimatedSeconds: estimate(layout, jobs: jobs, cutter),
                    note: note(layout, jobs: jobs, wanted: wanted))
            }
        }
        return nil
    }

    private func wantedJobs(of layout: Layout) -> Int {
        min(layout.mostPicturesOfReplica(pictures), layout.jobsToKeepBusy)
    }

    private func layout(_ numbers: LayoutNumbers, _ cut: [Range<Int>], _ cutter: StageCutter) -> Layout {
        Layout(
            replicas: numbers.replicas, branches: numbers.branches, stages: cut, strips: numbers.strips,
            pictureStage: cutter.pictureStage(of: cut, memory: memory),
            sharesPictures: sharesPictures(numbers))
    }

    /// Whether one picture is encoded and decoded sooner by the ranks of both chains: a small one is not.
    private func sharesPictures(_ numbers: LayoutNumbers) -> Bool {
        guard pictures == 1, allowsStrips, numbers.branches > 1 else { return false }
        let together = timesInStrips(numbers.branches * numbers.strips)
        return pictureSeconds(together) < pictureSeconds(timesInStrips(numbers.strips))
    }

    private func timesInStrips(_ strips: Int) -> TaskTimes { times.inStrips(strips, over: link(ofStrips: strips)) }

    private func pictureSeconds(_ times: TaskTimes) -> Double {
        PictureWork.allCases.reduce(0) { $0 + times.seconds(of: $1) }
    }

    private func memory(of layout: Layout, jobs: Int) -> LayoutMemory {
        LayoutMemory(layout, jobs: jobs, ranksPerNode: cluster.ranksPerNode, model: memory)
    }

    private func fits(_ memory: LayoutMemory) -> Bool {
        (memory.largestNode?.bytes ?? 0) <= cluster.memoryPerNode ?? .infinity
            && (memory.largestRank?.newBytes ?? 0) <= cluster.memoryPerRank ?? .infinity
    }

    /// Seconds that all pictures take: those of the first until it is there, then as many as the slowest rank, or the
    /// jobs in flight, let through.
    private func estimate(_ layout: Layout, jobs: Int, _ cutter: StageCutter) -> Double {
        let loads = layout.stages.map { cutter.seconds(of: $0) }
        let aside = pictureSeconds(
            layout.sharesPictures ? timesInStrips(layout.branches * layout.strips) : cutter.times)
        let pairs = Double(layout.passesOfJob)
        let slowest =
            layout.stages.indices.map { stage in
                pairs * loads[stage] + (stage == layout.pictureStage ? aside : 0)
            }.max() ?? 0
        // Alone, both branches of one chain follow each other through the stages.
        let through = loads.reduce(0, +) + (pairs - 1) * (loads.max() ?? 0)
        let isAlone = layout.ranksOfReplica == 1
        let legs = passes.rounds.reduce(0) { $0 + ($1 ? 4 : 2) }
        let handing = isAlone ? 0 : overhead * Double(legs * layout.stages.count)
        let latency = through + aside + handing
        let waves = Double(layout.mostPicturesOfReplica(pictures))
        return latency + (waves - 1) * max(slowest, latency / Double(jobs))
    }

    // MARK: Words

    private func check(_ numbers: LayoutNumbers) throws {
        let stages = numbers.stages
        guard stages <= mostStages else {
            throw Failure.usage(
                "--layout stages: this model's ladder has \(costs.rungCount) rungs, which make \(mostStages) stages at "
                    + "most, found \(stages)")
        }
        guard allowsStrips || numbers.strips == 1 else {
            throw Failure.usage(
                "--layout strips: expected 1 with this product library, which rounds otherwise in strips, found "
                    + "\(numbers.strips); take --backend onednn")
        }
        guard hasStrips(numbers.strips) else {
            throw Failure.usage(
                "--layout strips: the UNet sees \(costs.latentHeight) rows of \(costs.latentWidth) columns, which are no "
                    + "\(numbers.strips) strips; found \(numbers.strips)")
        }
        let product = numbers.ranks
        guard product == cluster.ranks else {
            throw Failure.usage(
                "--layout: \(numbers.replicas) replicas x \(numbers.branches) branches x \(stages) stages x "
                    + "\(numbers.strips) strips are \(product.map(String.init) ?? "more") ranks, and \(cluster.ranks) were "
                    + "started; \(cluster.ranks) are \(factorisations)")
        }
    }

    private static let mostNamed = 8

    /// The ways to use just the ranks that there are, or the first of them.
    private var factorisations: String {
        var ways: [String] = []
        for strips in stripNumbers where cluster.ranks % strips == 0 {
            for branches in 1...GuidanceBranch.allCases.count where cluster.ranks / strips % branches == 0 {
                let rest = cluster.ranks / strips / branches
                for stages in 1...mostStages where rest % stages == 0 {
                    ways.append(
                        "replicas=\(rest / stages),branches=\(branches),stages=\(stages)"
                            + (strips > 1 ? ",strips=\(strips)" : ""))
                }
            }
        }
        let more = ways.count > Self.mostNamed ? " or \(ways.count - Self.mostNamed) others" : ""
        return ways.prefix(Self.mostNamed).joined(separator: " or ") + more
    }

    private func note(_ layout: Layout, jobs: Int, wanted: Int) -> String? {
        var notes: [String] = []
        let idle = cluster.ranks - layout.ranks
        if idle > 0 {
            let work =
                switch pictures {
                case 1: "one picture uses"
                case ..<Self.countless: "\(pictures) pictures use"
                default: "a stream of pictures uses"
                }
            notes.append(
                "\(cluster.ranks) ranks were started, and \(work) \(layout.ranks) at best (\(layout)): \(idle) "
                    + "\(idle == 1 ? "stays" : "stay") idle; start \(layout.ranks), and give each more --threads")
        }
        if jobs < wanted {
            notes.append(
                "memory holds the passes of \(jobs) \(jobs == 1 ? "job" : "jobs") at a time in a replica, and "
                    + "\(wanted) would keep all of \(layout) busy")
        }
        return notes.isEmpty ? nil : notes.joined(separator: "; ")
    }

    private func doesNotFit(_ numbers: LayoutNumbers) -> Failure {
        let cutter = cutter(numbers.strips)
        let cut = cutter.cuts(into: numbers.stages).last ?? [0..<costs.rungCount]
        let layout = layout(numbers, cut, cutter)
        let instead = best().map { "\($0.layout) would fit" } ?? whatWouldFit
        return .usage("--layout: \(layout) \(needs(layout)); \(instead)")
    }

    private func nothingFits() -> Failure {
        let cutter = cutter(1)
        let smallest = (1...mostStages).flatMap { stages in
            cutter.cuts(into: stages).filter { _ in stages <= cluster.ranks }.map {
                layout(LayoutNumbers(), $0, cutter)
            }
        }.min { need(of: $0) < need(of: $1) }
        let least = smallest ?? Layout.alone(rungs: costs.rungCount)
        return .usage("no layout of \(cluster.ranks) ranks fits: \(least) \(needs(least)); \(whatWouldFit)")
    }

    private func need(of layout: Layout) -> Double { memory(of: layout, jobs: 1).largestNode?.bytes ?? 0 }

    private func needs(_ layout: Layout) -> String {
        let memory = memory(of: layout, jobs: 1)
        if let limit = cluster.memoryPerRank, let rank = memory.largestRank, rank.newBytes > limit {
            return "needs \(gigabytes(rank.newBytes)) more on a rank for a job at a time, and the limits on a process "
                + "(ulimit -v, ulimit -d) leave it \(gigabytes(limit)): raise them"
        }
        let perNode = cluster.ranksPerNode
        let onNode =
            layout.ranks <= perNode
            ? "needs" : perNode == 1 ? "needs on one machine" : "needs for the \(perNode) ranks of a machine"
        let limit = cluster.memoryPerNode ?? .infinity
        return "\(onNode) \(gigabytes(need(of: layout))) for a job at a time, and a machine has \(gigabytes(limit))"
    }

    /// The fewest machines on which the model fits, a rank on each.
    private var whatWouldFit: String {
        let smaller = "a smaller --size takes less"
        let format = costs.elementType == .float32 ? ", --dtype bfloat16 about half" : ""
        let cutter = cutter(1)
        for stages in 1...mostStages {
            for cut in cutter.cuts(into: stages) {
                let layout = layout(LayoutNumbers(), cut, cutter)
                let alone = LayoutMemory(layout, jobs: 1, ranksPerNode: 1, model: memory)
                guard fits(alone) else { continue }
                let machines =
                    stages == 1 ? "one rank alone" : "\(stages) such machines with a rank on each (\(layout))"
                return "\(machines) would fit; \(smaller)\(format)"
            }
        }
        return "\(mostStages) such machines with a rank on each do not suffice; \(smaller)\(format)"
    }

    private func gigabytes(_ bytes: Double) -> String {
        let hundredths = Int((min(bytes, 1e17) / 1e7).rounded(.up))
        let fraction = hundredths % 100
        return "\(hundredths / 100).\(fraction < 10 ? "0" : "")\(fraction) GB"
    }
}

extension Layout {
    /// How many of so many pictures the replica makes that makes the most.
    func mostPicturesOfReplica(_ pictures: Int) -> Int { (pictures - 1) / replicas + 1 }

    /// How many jobs a replica works on at once, so that no stage waits: with one stage a second job only where ranks
    /// wait for each other's branches, with more about two passes for every stage.
    public var jobsToKeepBusy: Int {
        stages.count > 1 ? 2 * stages.count : branches
    }

    /// A replica's share of `jobs` that somebody wants in flight.
    public func share(of jobs: Int) -> Int { max(1, (jobs + replicas - 1) / replicas) }
}
