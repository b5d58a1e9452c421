import DiffusionModels
import Failures
import ShardedRuntime
import Testing

@Suite struct PlanTests {
    @Test func oneRankHoldsBothBranches() throws {
        let plan = try Plan(ranks: 1)
        #expect(plan.branches(on: 0) == [.unconditional, .conditional])
        #expect(GuidanceBranch.allCases.allSatisfy { plan.rank(of: $0) == 0 })
    }

    @Test func twoRanksHoldOneBranchEach() throws {
        let plan = try Plan(ranks: 2)
        #expect(plan.branches(on: 0) == [.unconditional])
        #expect(plan.branches(on: 1) == [.conditional])
    }

    @Test(arguments: [-1, 0, 3, 4, 5, 1000])
    func ranksThatCannotBeUsedAreRefusedByNumber(ranks: Int) {
        #expect {
            try Plan(ranks: ranks)
        } throws: { error in
            guard let failure = error as? Failure else { return false }
            return failure.kind == .usage && failure.message.hasPrefix("\(ranks) ranks were started")
        }
    }
}
