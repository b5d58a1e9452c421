import DiffusionModels
import Failures
import Foundation
import MessagePassing
import ShardedRuntime
import TestSupport

extension Scenario {
    /// Some jobs at once on the layout given, `infer MODEL LAYOUT JOBS STEPS [FAILING BRANCH]`; prints their
    /// fingerprint.
    func infer(_ communicator: any Communicator, _ arguments: [String]) async throws {
        guard arguments.count >= 4, let jobs = Int(arguments[2]), let steps = Int(arguments[3]),
            case .numbers(let numbers) = try LayoutRequest(arguments[1])
        else { throw Failure.usage("expected a model, a layout, and the numbers of jobs and steps") }
        let model = try StageModel(fixture: arguments[0])
        let layout = try model.layout(
            replicas: numbers.replicas, branches: numbers.branches, stages: numbers.stages, strips: numbers.strips)
        guard layout.ranks <= communicator.size else { throw Failure.usage("\(layout) wants \(layout.ranks) ranks") }
        let failing = arguments.count > 4 ? Int(arguments[4]).flatMap(GuidanceBranch.init(rawValue:)) : nil
        let workers = try await model.workers(
            of: communicator.rank, in: layout, wires: StripWires(layout, communicator: communicator), failing: failing)
        guard communicator.rank == 0 else {
            return try await ShardedNetwork.serve(
                layout: layout, jobsInFlight: jobs, communicator: communicator, workers: workers,
                take: TrialJob.taker(model.configuration))
        }
        let network = ShardedNetwork(
            layout: layout, jobsInFlight: jobs, communicator: communicator, workers: workers)
        let results = try await withThrowingTaskGroup(of: (Int, String).self) { group in
            for number in 0..<jobs {
                let job = TrialJob(model.configuration, height: 11, width: 8, steps: steps, number: number)
                group.addTask { (number, try await job.run(on: network).fingerprint) }
            }
            var results: [Int: String] = [:]
            for try await (number, fingerprint) in group { results[number] = fingerprint }
            return results
        }
        let reports = try await network.reports()
        network.stop()
        let fingerprints = (0..<jobs).compactMap { results[$0] }.joined(separator: "-")
        say("\(fingerprints) kept \(reports.map(\.keptPullbacks)) forward \(reports.map(\.times.forwardCount))")
    }
}
