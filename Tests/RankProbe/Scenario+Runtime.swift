import DiffusionModels
import Failures
import Foundation
import MessagePassing
import ShardedRuntime
import TestSupport

extension Scenario {
    /// The toy job on however many ranks there are, of the latent side and steps given; prints its fingerprint.
    func infer(_ communicator: any Communicator, _ arguments: [String]) async throws {
        let numbers = arguments.compactMap { Int($0) }
        guard numbers.count >= 2 else { throw Failure.usage("a latent's side and the number of steps are missing") }
        let failing = arguments.count > 2 ? GuidanceBranch(rawValue: numbers.last ?? 0) : nil
        let plan = try Plan(ranks: communicator.size)
        let evaluator = ToyEvaluator(failing: failing)
        let thread = try DedicatedThread(name: "compute")
        guard communicator.rank == 0 else {
            return try await BranchServer(communicator: communicator, evaluator: evaluator, thread: thread).run()
        }
        let predictor = DistributedPredictor(
            plan: plan, communicator: communicator, evaluator: evaluator, thread: thread)
        let result = try await ToyJob(height: numbers[0], width: numbers[0], steps: numbers[1]).run(on: predictor)
        let reports = try await predictor.reports()
        predictor.stop()
        say("\(result.fingerprint) kept \(reports.map(\.keptPullbacks)) forward \(reports.map(\.times.forwardCount))")
    }
}
