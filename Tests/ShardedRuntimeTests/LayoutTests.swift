import DiffusionModels
import Failures
import ShardedRuntime
import Testing

@Suite struct LayoutTests {
    private func stages(_ count: Int) -> [Range<Int>] { (0..<count).map { $0..<$0 + 1 } }

    /// Every rank has one place, every place one rank, and the branches of a stage are neighbours.
    @Test(arguments: [1, 2, 3, 7], [1, 2])
    func ranksAndPlacesAreOneToOne(stageCount: Int, branches: Int) throws {
        for replicas in [1, 2, 5] {
            let layout = Layout(replicas: replicas, branches: branches, stages: stages(stageCount))
            let places = (0..<layout.ranks).compactMap(layout.place)
            #expect(Set(places).count == replicas * branches * stageCount)
            for (rank, place) in places.enumerated() {
                #expect(layout.rank(of: place) == rank)
                for branch in layout.branches(at: place) {
                    #expect(layout.chain(of: branch, replica: place.replica)[place.stage] == rank)
                }
            }
            #expect(layout.place(of: -1) == nil && layout.place(of: layout.ranks) == nil)
            #expect(layout.ranks(ofStage: 0).count == replicas * branches)
            #expect(layout.pictureRanks.count == replicas)
        }
    }

    /// Strips of a stage are neighbours, and the first of them speaks for all.
    @Test(arguments: [(1, 1), (1, 2), (3, 2)], [2, 5])
    func stripsSitSideBySide(chains: (stages: Int, branches: Int), strips: Int) throws {
        let (stageCount, branches) = chains
        let layout = Layout(
            replicas: 2, branches: branches, stages: stages(stageCount), strips: strips, pictureStage: stageCount - 1)
        let places = (0..<layout.ranks).compactMap(layout.place)
        #expect(Set(places).count == 2 * branches * stageCount * strips)
        for (rank, place) in places.enumerated() {
            #expect(layout.rank(of: place) == rank)
            let team = layout.ranksOfStrips(at: place)
            #expect(team.count == strips && team[place.strip] == rank)
            #expect(team.allSatisfy { layout.place(of: $0)?.stage == place.stage })
            for branch in layout.branches(at: place) {
                #expect(layout.chain(of: branch, replica: place.replica)[place.stage] == team[0])
            }
        }
        let workers = (0..<layout.ranks).filter(layout.worksOnPictures)
        #expect(workers.count == 2 * strips && Set(layout.pictureRanks).isSubset(of: workers))
        #expect(layout.ranks(ofStage: 0).count == 2 * branches * strips)
        #expect(layout.description == "replicas=2,branches=\(branches),stages=\(stageCount),strips=\(strips)")
    }

    @Test func twoBranchesOfOneStageSitSideBySide() {
        let layout = Layout(replicas: 2, branches: 2, stages: stages(3))
        #expect(layout.chain(of: .unconditional, replica: 0) == [0, 2, 4])
        #expect(layout.chain(of: .conditional, replica: 1) == [7, 9, 11])
        #expect(layout.description == "replicas=2,branches=2,stages=3")
    }

    @Test func oneChainHasBothBranches() throws {
        let layout = Layout(branches: 1, stages: stages(2))
        let place = try #require(layout.place(of: 1))
        #expect(layout.branches(at: place) == [.unconditional, .conditional])
        #expect(layout.passesOfJob == 2)
    }

    @Test func requestsAreRead() throws {
        #expect(try LayoutRequest("auto") == .auto)
        #expect(try LayoutRequest("stages=4") == .numbers(LayoutNumbers(stages: 4)))
        #expect(
            try LayoutRequest("branches=2,strips=7,replicas=3,stages=5")
                == .numbers(LayoutNumbers(replicas: 3, branches: 2, stages: 5, strips: 7)))
    }

    @Test(arguments: [
        "", "Auto", "stages", "stages=", "stages=0", "stages=-1", "stages=x", "strips=0", "stages=2,stages=2",
        "strip=2",
        "branches=3", "replicas=99999999999999999999", "stages=1,", "=1",
    ])
    func otherRequestsAreRefused(text: String) {
        #expect(throws: Failure.self) { try LayoutRequest(text) }
    }
}

@Suite struct StageCutsTests {
    /// GFLOP of Stable Diffusion 1.5's rungs, both sides, the middle with the last.
    private static let costs: [Double] = [
        63.3, 116.9, 125.2, 72.0, 75.7, 87.4, 69.8, 71.1, 74.4, 15.5, 9.9, 22.0,
    ]

    private func dearest(_ cuts: [Range<Int>], _ costs: [Double]) -> Double {
        cuts.map { costs[$0].reduce(0, +) }.max() ?? 0
    }

    /// The balances that the best cuts reach: mean over largest.
    @Test(arguments: [(2, 0.94), (3, 0.88), (4, 0.86), (5, 0.83), (8, 0.71)])
    func balancesOfStableDiffusion(stages: Int, balance: Double) throws {
        let cuts = try #require(StageCuts.balanced(costs: Self.costs, stages: stages))
        let mean = Self.costs.reduce(0, +) / Double(stages)
        #expect(abs(mean / dearest(cuts, Self.costs) - balance) < 0.01)
    }

    /// Against every possible cut.
    @Test func noOtherCutIsBetter() throws {
        var generator = SplitMix(state: 4)
        for _ in 0..<300 {
            let count = Int.random(in: 1...9, using: &generator)
            let costs = (0..<count).map { _ in Double.random(in: 0...10, using: &generator) }
            let sizes = (0..<count).map { _ in Double.random(in: 0...10, using: &generator) }
            let stages = Int.random(in: 1...count, using: &generator)
            let limit = Double.random(in: 5...40, using: &generator)
            func fits(_ cuts: [Range<Int>]) -> Bool { cuts.allSatisfy { 1 + sizes[$0].reduce(0, +) <= limit } }
            let best = Self.allCuts(of: count, into: stages).filter(fits).map { dearest($0, costs) }.min()
            let found = StageCuts.balanced(costs: costs, stages: stages, sizes: sizes, fixedSize: 1, limit: limit)
            #expect((found == nil) == (best == nil))
            guard let found, let best else { continue }
            #expect(found.count == stages && found.first?.lowerBound == 0 && found.last?.upperBound == count)
            #expect(zip(found, found.dropFirst()).allSatisfy { $0.upperBound == $1.lowerBound })
            #expect(fits(found) && abs(dearest(found, costs) - best) < 1e-9)
        }
    }

    private static func allCuts(of count: Int, into stages: Int) -> [[Range<Int>]] {
        (0..<1 << (count - 1)).compactMap { bits in
            let ends = (1..<count).filter { bits >> ($0 - 1) & 1 == 1 } + [count]
            guard ends.count == stages else { return nil }
            return zip([0] + ends, ends).map { $0..<$1 }
        }
    }

    @Test func thereAreNoMoreStagesThanRungs() {
        #expect(StageCuts.balanced(costs: [1, 2], stages: 3) == nil)
        #expect(StageCuts.balanced(costs: [1, 2], stages: 0) == nil)
        #expect(StageCuts.balanced(costs: [1, 2], stages: 2) == [0..<1, 1..<2])
    }
}
