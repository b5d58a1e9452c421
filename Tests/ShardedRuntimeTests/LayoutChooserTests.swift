import DiffusionModels
import Failures
import NeuralLayers
import ShardedRuntime
import TensorKernels
import Testing

/// Which layout is taken for which ranks, pictures and memory.
@Suite struct LayoutChooserTests {
    private static let sd15 = PlanCosts.of(.sd15, side: 512)
    private static let tiny = PlanCosts.of(.tiny, side: 128)

    private func chooser(
        ranks: Int, nodes: Int = 1, gigabytes: Double? = nil, pictures: Int, costs: LadderCosts = sd15,
        passes: PicturePasses = .balanced
    ) -> LayoutChooser {
        LayoutChooser(
            costs,
            cluster: Cluster(
                ranks: ranks, ranksPerNode: (ranks + nodes - 1) / nodes, memoryPerNode: gigabytes.map { $0 * 1e9 }),
            pictures: pictures, passes: passes, times: PlanCosts.times(costs))
    }

    /// Ranks, machines, GB of each, pictures; and replicas, branches, stages, strips.
    @Test(arguments: [
        (1, 1, 64.0, 1, [1, 1, 1, 1]), (1, 1, 64, 100, [1, 1, 1, 1]),
        // One picture: its branches, then strips.
        (2, 1, 64, 1, [1, 2, 1, 1]), (3, 1, 64, 1, [1, 1, 1, 3]), (4, 1, 64, 1, [1, 2, 1, 2]),
        (8, 2, 64, 1, [1, 2, 1, 4]), (16, 1, 64, 1, [1, 2, 1, 8]),
        // Many: replicas, and what makes a picture faster where they would leave ranks without one.
        (2, 1, 64, 2, [2, 1, 1, 1]), (8, 1, 64, 96, [8, 1, 1, 1]), (4, 1, 64, 2, [2, 2, 1, 1]),
        (4096, 64, 512, 100_000, [4096, 1, 1, 1]),
        // No machine holds the model: stages.
        (2, 2, 6.5, 1, [1, 1, 2, 1]), (4, 4, 6.5, 1, [1, 1, 2, 2]),
    ])
    func automatically(ranks: Int, nodes: Int, gigabytes: Double, pictures: Int, expected: [Int]) throws {
        let layout = try chooser(ranks: ranks, nodes: nodes, gigabytes: gigabytes, pictures: pictures).choose(.auto)
            .layout
        #expect([layout.replicas, layout.branches, layout.stages.count, layout.strips] == expected, "\(layout)")
    }

    /// A limit on a process is no limit on the machine: more ranks, with a stage each, may do.
    @Test func aLimitOnEachRankCounts() throws {
        func chooser(ranks: Int, gigabytesPerRank: Double?) -> LayoutChooser {
            LayoutChooser(
                Self.sd15,
                cluster: Cluster(
                    ranks: ranks, ranksPerNode: ranks, memoryPerNode: 64e9,
                    memoryPerRank: gigabytesPerRank.map { $0 * 1e9 }),
                pictures: 1, times: PlanCosts.times(Self.sd15))
        }
        #expect(try chooser(ranks: 1, gigabytesPerRank: nil).choose(.auto).layout.stages.count == 1)
        #expect(try chooser(ranks: 2, gigabytesPerRank: 7).choose(.auto).layout.stages.count == 2)
        let failure = #expect(throws: Failure.self) { try chooser(ranks: 1, gigabytesPerRank: 3).choose(.auto) }
        let message = try #require(failure?.message)
        #expect(message.contains("(ulimit -v, ulimit -d) leave it 3.00 GB: raise them; "), "\(message)")
        #expect(message.contains("would fit; a smaller --size takes less"), "\(message)")
    }

    /// Whatever is chosen fits, and leaves no rank idle without a word.
    @Test func choicesFit() throws {
        var generator = SplitMix(state: 8)
        var refused = 0
        for _ in 0..<150 {
            let ranks = Int.random(in: 1...40, using: &generator)
            let nodes = Int.random(in: 1...ranks, using: &generator)
            let gigabytes = Double.random(in: 1...40, using: &generator)
            let pictures = Int.random(in: 1...60, using: &generator)
            let chooser = chooser(ranks: ranks, nodes: nodes, gigabytes: gigabytes, pictures: pictures)
            guard let choice = try? chooser.choose(.auto) else {
                refused += 1
                #expect(chooser.candidates().isEmpty)
                continue
            }
            #expect(choice.memory.nodes.allSatisfy { $0.bytes <= gigabytes * 1e9 })
            #expect(choice.layout.ranks <= ranks && choice.memory.ranks.count == choice.layout.ranks)
            #expect(choice.jobsInFlight >= 1 && choice.jobsInFlight <= max(1, pictures))
            #expect((choice.layout.ranks < ranks) == (choice.note?.contains("idle") ?? false))
            let quickest = try #require(chooser.candidates().first)
            #expect(choice.estimatedSeconds <= 1.03 * quickest.estimatedSeconds)
        }
        #expect((1..<100).contains(refused))
    }

    @Test func idleRanksAreSaid() throws {
        let note = try #require(try chooser(ranks: 129, pictures: 1).choose(.auto).note)
        #expect(note.contains("129 ranks were started, and one picture uses "), "\(note)")
        #expect(try chooser(ranks: 8, pictures: 16).choose(.auto).note == nil)
    }

    /// A stream has no number of pictures, and ranks that it leaves idle are said without one.
    @Test func streamsHaveNoEnd() throws {
        for ranks in [1, 2, 7] {
            #expect(try chooser(ranks: ranks, pictures: .max).choose(.auto).layout.replicas == ranks)
        }
        let costs = Self.sd15
        let two = try chooser(ranks: 3, nodes: 3, gigabytes: 7.5, pictures: .max, costs: costs).choose(.auto)
        #expect(two.layout.stages.count > 1)
        #expect(two.note?.contains("\(Int.max)") != true)
    }

    @Test func shortMemoryBoundsTheJobsInFlight() throws {
        let request = LayoutRequest.numbers(LayoutNumbers(branches: 1, stages: 4))
        let plenty = try chooser(ranks: 4, nodes: 4, gigabytes: 64, pictures: 100).choose(request)
        #expect(plenty.jobsInFlight == 8 && plenty.note == nil)
        let least = try #require(plenty.memory.largestNode).bytes / 1e9
        let short = try chooser(ranks: 4, nodes: 4, gigabytes: 0.8 * least, pictures: 100).choose(request)
        #expect(short.jobsInFlight < 8)
        #expect(try #require(short.note).contains("memory holds the passes of \(short.jobsInFlight) job"))
        #expect(try chooser(ranks: 4, nodes: 4, pictures: 3).choose(request).jobsInFlight == 3)
    }

    @Test func whatDoesNotFitIsRefusedWithNumbers() throws {
        let refusal = #expect(throws: Failure.self) {
            try chooser(ranks: 2, nodes: 2, gigabytes: 6.5, pictures: 1).choose(
                .numbers(LayoutNumbers(branches: 2, stages: 1)))
        }
        let message = try #require(refusal).message
        #expect(message.contains("replicas=1,branches=2,stages=1") && message.contains("6.50 GB"))
        #expect(message.contains("replicas=1,branches=1,stages=2 would fit"), "\(message)")
        let hopeless = #expect(throws: Failure.self) {
            try chooser(ranks: 1, gigabytes: 3, pictures: 1).choose(.auto)
        }
        #expect(try #require(hopeless).message.contains("such machines with a rank on each"))
        #expect(try #require(hopeless).kind == .usage)
    }

    @Test(arguments: [
        ("stages=13", "12 stages at most"), ("stages=3", "3 ranks, and 4 were started"),
        ("replicas=1048576,branches=2,stages=12", "25165824 ranks"),
    ])
    func whatIsNotThatManyRanksIsRefused(request: String, words: String) throws {
        let refusal = #expect(throws: Failure.self) {
            try chooser(ranks: 4, pictures: 1).choose(try LayoutRequest(request))
        }
        #expect(try #require(refusal).message.contains(words))
    }

    /// More ranks make one picture faster as long as rows are left for them, over memory at least.
    @Test func onePictureOnMoreRanksIsFaster() throws {
        var seconds = Double.infinity
        for ranks in [1, 2, 4, 8, 16] {
            let choice = try chooser(ranks: ranks, pictures: 1).choose(.auto)
            #expect(choice.layout.ranks == ranks && choice.estimatedSeconds < 0.65 * seconds, "\(choice.layout)")
            seconds = choice.estimatedSeconds
        }
        // A product library that rounds otherwise in strips gets none.
        let plain = LayoutChooser(
            Self.sd15, cluster: Cluster(ranks: 8, ranksPerNode: 8, memoryPerNode: nil), pictures: 1,
            times: PlanCosts.times(Self.sd15), allowsStrips: false)
        #expect(try plain.choose(.auto).layout.ranks == 2)
        #expect(throws: Failure.self) { try plain.choose(try LayoutRequest("strips=8")) }
        #expect(throws: Failure.self) { try chooser(ranks: 65, pictures: 1).choose(try LayoutRequest("strips=65")) }
    }

    /// No stage of four takes more than 40 % of what the whole takes, and two are as even in their time as a cut can be.
    @Test func stagesShareTheMemory() throws {
        let whole = try chooser(ranks: 1, pictures: 1).choose(.auto).memory.ranks[0].bytes
        let four = try chooser(ranks: 4, pictures: 1).choose(.numbers(LayoutNumbers(branches: 1, stages: 4)))
        for share in four.memory.ranks { #expect(share.bytes < 0.4 * whole) }
        let two = try chooser(ranks: 2, pictures: 1).choose(.numbers(LayoutNumbers(branches: 1, stages: 2)))
        let loads = two.layout.stages.map { Self.sd15.work(of: $0).operations }
        #expect(loads.reduce(0, +) / 2 / (loads.max() ?? 0) > 0.93, "\(two.layout.stages)")
    }

    /// Two branches' ranks encode and decode a picture together where it is large enough, and no stream of them.
    @Test func onePictureIsSharedWhereItPays() throws {
        let branches = LayoutRequest.numbers(LayoutNumbers(branches: 2))
        #expect(try chooser(ranks: 2, pictures: 1).choose(branches).layout.sharesPictures)
        #expect(try !chooser(ranks: 2, pictures: 2).choose(branches).layout.sharesPictures)
        #expect(try !chooser(ranks: 2, pictures: 1, costs: Self.tiny).choose(branches).layout.sharesPictures)
    }

    /// A ladder of two levels has few rungs, and a model without gradients keeps little.
    @Test func smallModels() throws {
        let choice = try chooser(ranks: 64, pictures: 1000, costs: Self.tiny).choose(.auto)
        #expect(choice.layout.replicas == 64)
        let stages = Self.tiny.rungCount
        #expect(throws: Failure.self) {
            try chooser(ranks: stages + 1, pictures: 1, costs: Self.tiny).choose(
                .numbers(LayoutNumbers(branches: 1, stages: stages + 1)))
        }
        let plain = try chooser(
            ranks: 1, pictures: 1, passes: PicturePasses(plain: 10, recorded: 0)
        ).choose(.auto)
        let recorded = try chooser(ranks: 1, pictures: 1).choose(.auto)
        #expect(plain.memory.ranks[0].bytes < recorded.memory.ranks[0].bytes)
        #expect(plain.memory.ranks[0].passes < 0.3 * recorded.memory.ranks[0].passes)
    }
}
