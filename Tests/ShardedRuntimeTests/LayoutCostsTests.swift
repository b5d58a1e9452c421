import DiffusionModels
import NeuralLayers
import ShardedRuntime
import TensorKernels
import TestSupport
import Testing

/// What is counted of a layout's costs and memory.
@Suite struct LayoutCostsTests {
    @Test func stagesAddUpToTheWhole() {
        let costs = PlanCosts.of(.sd15, side: 512)
        #expect((costs.total.operations / 1e9).rounded() == 803)
        for cuts in [[0..<12], [0..<4, 4..<12], [0..<1, 1..<7, 7..<11, 11..<12]] {
            for (leg, back) in [(Leg.down, Leg.up), (.upGradient, .downGradient)] {
                let sum = cuts.reduce(0) {
                    $0 + costs.work(of: leg, on: $1).operations + costs.work(of: back, on: $1).operations
                }
                let whole = costs.work(of: leg, on: 0..<12).operations
                #expect(abs(sum - whole) < 1e-9 * whole)
            }
        }
        // Convolutions and linear layers back cost what they cost forward; attention computes its scores again.
        let gradient = costs.work(of: .upGradient, on: 0..<12)
        #expect(gradient.convolutions == costs.work(of: 0..<12).convolutions)
        #expect(gradient.attention > 2 * costs.total.attention && gradient.attention < 2.5 * costs.total.attention)
    }

    /// Against the hidden states that the stages of a real network give, at sizes that are no multiples of anything.
    @Test(arguments: [("sd1", 8, 8), ("sd1", 9, 7), ("odd", 11, 6)])
    func messagesAreAsLargeAsHiddenStates(model: String, height: Int, width: Int) throws {
        let fixture = try StageModel(fixture: model)
        let configuration = fixture.configuration
        let context = try ComputeContext(threads: 1)
        let costs = LadderCosts(
            unet: configuration, autoencoder: try fixture.folder.vaeConfiguration(),
            textEncoder: try fixture.folder.textEncoderConfiguration(), latent: (height, width), tokens: 5,
            elementType: .float32)
        let stages = (0..<configuration.rungCount).map { $0..<$0 + 1 }
        let weights = CheckpointWeights(try fixture.folder.weights(of: .unet))
        let width0 = configuration.crossAttentionDimension
        let prompt = PromptMemory(
            embedding: Tensor([Float](repeating: 0.1, count: 5 * width0), shape: [5, width0], in: context))
        let passes = try stages.map { rungs in
            let stage = UNetStage(configuration, rungs: rungs, weights: weights)
            let time = try stage.timeMemory(timestep: 500, in: context)
            return StagePass(
                of: stage, Conditioning(prompt: prompt, time: time) { _, _ in (nil, nil) }, isRecorded: true,
                in: context)
        }
        func bytes(_ tensor: Tensor) -> Int { tensor.shape.reduce(4, *) }
        let channels = configuration.inputChannels
        var hidden = Tensor(
            [Float](repeating: 0.5, count: height * width * channels), shape: [height, width, channels], in: context)
        for (pass, rungs) in zip(passes, stages) {
            hidden = try pass.down(hidden)
            if rungs.upperBound < configuration.rungCount {
                #expect(costs.messageBytes(of: .down, from: rungs) == bytes(hidden))
            }
        }
        for (pass, rungs) in zip(passes, stages).reversed() {
            hidden = try pass.up(hidden)
            #expect(costs.messageBytes(of: .up, from: rungs) == bytes(hidden), "up, from \(rungs)")
        }
        for (pass, rungs) in zip(passes, stages) {
            hidden = try pass.upGradient(hidden)
            if rungs.upperBound < configuration.rungCount {
                #expect(costs.messageBytes(of: .upGradient, from: rungs) == bytes(hidden), "back, from \(rungs)")
            }
        }
        for (pass, rungs) in zip(passes, stages).reversed() {
            hidden = try pass.downGradient(hidden)
            #expect(costs.messageBytes(of: .downGradient, from: rungs) == bytes(hidden), "back up, from \(rungs)")
        }
    }

    @Test func memoryGrowsWithAllThatTakesIt() {
        func bytes(
            side: Int = 512, _ elementType: ElementType = .float32, recorded: Bool = true, stage: Range<Int> = 0..<6,
            jobs: Int = 1, passes: Int = 1, pictures: Bool = false
        ) -> Double {
            MemoryModel(
                PlanCosts.of(.sd15, side: side, elementType: elementType), isRecorded: recorded, keepsNetworks: true
            ).share(of: stage, jobs: jobs, passesOfJob: passes, hasPictures: pictures).bytes
        }
        let base = bytes()
        #expect(bytes(side: 256) < base && bytes(side: 1024) > base)
        #expect(bytes(.bfloat16) < base)
        #expect(bytes(recorded: false) < base)
        #expect(bytes(jobs: 2) > base && bytes(passes: 2) > base)
        #expect(bytes(jobs: 2) == bytes(passes: 2))
        #expect(bytes(pictures: true) > base + 0.8e9)
        for rung in 1..<12 { #expect(bytes(stage: 0..<rung + 1) > bytes(stage: 0..<rung)) }
        for side in stride(from: 64, through: 960, by: 64) { #expect(bytes(side: side) < bytes(side: side + 64)) }
    }

    /// Ranks of one machine that hold one stage have its weights once.
    @Test func aNodeHoldsWeightsOnce() throws {
        let model = MemoryModel(PlanCosts.of(.sd15, side: 512), isRecorded: true, keepsNetworks: false)
        let layout = Layout(replicas: 2, branches: 2, stages: [0..<5, 5..<12])
        let together = LayoutMemory(layout, jobs: 1, ranksPerNode: 8, model: model)
        let apart = LayoutMemory(layout, jobs: 1, ranksPerNode: 1, model: model)
        let pairs = LayoutMemory(layout, jobs: 1, ranksPerNode: 2, model: model)
        #expect(together.nodes.count == 1 && apart.nodes.count == 8 && pairs.nodes.count == 4)
        let own = together.ranks.reduce(0) { $0 + $1.ownBytes }
        let weights = model.weights(of: 0..<5) + model.weights(of: 5..<12)
        #expect(abs(try #require(together.largestNode).bytes - own - weights) < 1)
        #expect(abs(apart.nodes.reduce(0) { $0 + $1.bytes } - own - 4 * weights) < 1)
        #expect(abs(pairs.nodes.reduce(0) { $0 + $1.bytes } - own - 2 * weights) < 1)
    }

    /// Peaks of `pilot model benchmark --passes 2` on random models, `VmHWM`, in MB; docs/sharding.md says how they were
    /// taken.
    @Test(arguments: [
        (256, ElementType.float32, false, 5092.0), (256, .bfloat16, false, 2329), (256, .float32, true, 6798),
        (256, .bfloat16, true, 3784), (512, .float32, true, 8577),
    ])
    func memoryIsNearTheMeasured(side: Int, elementType: ElementType, isRecorded: Bool, measured: Double) {
        let model = MemoryModel(
            PlanCosts.of(.sd15, side: side, elementType: elementType), isRecorded: isRecorded, keepsNetworks: false)
        let counted = model.share(of: 0..<12, jobs: 1, passesOfJob: 2, hasPictures: false).bytes / 1e6
        #expect(abs(counted / measured - 1) < 0.05, "\(counted) MB, measured \(measured)")
    }
}

/// What a machine grants.
@Suite struct LayoutMachineMemoryTests {
    private func available(_ files: [String: String]) -> Int? { MachineMemory.availableBytes { files[$0] } }

    @Test func theLeastCounts() {
        let machine = ["/proc/meminfo": "MemTotal: 2000 kB\nMemAvailable:   1000 kB\n"]
        #expect(available([:]) == nil)
        #expect(available(machine) == 1_024_000)
        let unified = machine.merging([
            "/proc/self/cgroup": "0::/a/b\n", "/sys/fs/cgroup/a/b/memory.max": "max\n",
            "/sys/fs/cgroup/a/memory.max": "500000\n", "/sys/fs/cgroup/a/memory.current": "200000\n",
            "/sys/fs/cgroup/a/memory.stat": "anon 5\ninactive_file 150000\n",
        ]) { $1 }
        #expect(available(unified) == 450_000)
        let first = machine.merging([
            "/proc/self/cgroup": "4:memory:/x\n0::/\n", "/sys/fs/cgroup/memory/x/memory.limit_in_bytes": "300000",
            "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
        ]) { $1 }
        #expect(available(first) == 300_000)
        // Within a container the group's path is not there, and the root is the container's.
        let container = machine.merging([
            "/proc/self/cgroup": "0::/docker/1\n", "/sys/fs/cgroup/memory.max": "4096",
            "/sys/fs/cgroup/memory.current": "8192",
        ]) { $1 }
        #expect(available(container) == 0)
    }

    @Test func limitsOfAProcessCountWhatItHas() {
        let status = ["/proc/self/status": "VmPeak: 9 kB\nVmSize:\t  1000 kB\nVmData:\t  600 kB\n"]
        func available(_ addressSpace: Int?, _ data: Int?) -> Int? {
            MachineMemory.availableBytesOfProcess(addressSpace: addressSpace, data: data) { status[$0] }
        }
        #expect(available(nil, nil) == nil)
        #expect(available(2_024_000, nil) == 1_000_000)
        #expect(available(2_024_000, 700_000) == 85_600)
        #expect(available(5, nil) == 0)
    }

    @Test(arguments: [
        "", "MemAvailable:", "MemAvailable: x kB", "MemAvailable: 99999999999999999999 kB",
        "MemAvailable: 9223372036854775807 kB",
    ])
    func nonsenseIsNoLimit(text: String) { #expect(available(["/proc/meminfo": text]) == nil) }
}
