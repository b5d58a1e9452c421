import Failures
import Foundation
import MessagePassing
import ShardedRuntime
import TestSupport

extension Scenario {
    /// What befalls a rank in the middle of its work.
    private enum Mishap: String {
        /// The whole process is stopped for good.
        case stop
        /// The whole process is killed.
        case die
        /// The compute thread never comes back.
        case hang
        /// Every pass takes its time, far longer in all than is allowed without progress.
        case slow
    }

    /// Jobs on three stages or strips, or on two replicas of two stages, `stall MISHAP RANK TIMEOUT [JOBS [DIMENSION]]`;
    /// each rank says its process first.
    func stall(_ communicator: any Communicator, _ arguments: [String]) async throws {
        guard arguments.count >= 3, let mishap = Mishap(rawValue: arguments[0]), let unlucky = Int(arguments[1]),
            let timeout = Double(arguments[2])
        else { throw Failure.usage("expected a mishap, its rank, and a timeout") }
        let jobs = arguments.count > 3 ? Int(arguments[3]) ?? 1 : 1
        say("process \(communicator.rank) \(getpid())")
        let model = try StageModel(fixture: "odd")
        let dimension = arguments.count > 4 ? arguments[4] : "stages"
        let layout =
            switch dimension {
            case "strips": try model.layout(branches: 1, stages: 1, strips: 3)
            case "replicas": try model.layout(replicas: 2, branches: 1, stages: 2)
            default: try model.layout(branches: 1, stages: 3)
            }
        let isUnlucky = communicator.rank == unlucky
        let workers = try await model.workers(
            of: communicator.rank, in: layout, wires: StripWires(layout, communicator: communicator)
        ) { pass in
            guard isUnlucky, mishap == .slow || pass == 3 else { return }
            switch mishap {
            case .stop: kill(getpid(), SIGSTOP)
            case .hang: while true { sleep(1000) }
            case .slow: usleep(300_000)
            case .die: kill(getpid(), SIGKILL)
            }
        }
        let observation = Observation(stallTimeout: timeout)
        guard communicator.rank == 0 else {
            return try await ShardedNetwork.serve(
                layout: layout, jobsInFlight: jobs, communicator: communicator, workers: workers,
                observation: observation, take: TrialJob.taker(model.configuration))
        }
        let network = ShardedNetwork(
            layout: layout, jobsInFlight: jobs, communicator: communicator, workers: workers,
            observation: observation)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<jobs {
                let job = TrialJob(model.configuration, height: 9, width: 8, steps: 4, number: number)
                group.addTask { _ = try await job.run(on: network) }
            }
            try await group.waitForAll()
        }
        network.stop()
        say("done")
    }
}
