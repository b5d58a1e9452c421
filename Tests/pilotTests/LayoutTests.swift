import Foundation
import TestSupport
import Testing

/// The promise to users: the same file, byte for byte, on every layout and number of threads.
@Suite(.serialized) struct LayoutTests {
    /// Strips, alone and with every other dimension.
    private static let strips = [
        (2, "strips=2"), (3, "strips=3"), (5, "strips=5"), (4, "branches=2,strips=2"), (4, "replicas=2,strips=2"),
        (4, "stages=2,strips=2"), (6, "branches=2,strips=3"), (8, "branches=2,stages=2,strips=2"),
    ]

    /// Every factorisation of 1, 2, 3, 4, 5, 6 and 8 ranks into replicas, branches and stages.
    static let layouts: [(ranks: Int, layout: String)] = {
        var layouts: [(ranks: Int, layout: String)] = []
        for ranks in [1, 2, 3, 4, 5, 6, 8] {
            for branches in 1...2 where ranks % branches == 0 {
                for stages in 1...8 where (ranks / branches) % stages == 0 {
                    let replicas = ranks / branches / stages
                    layouts.append((ranks, "replicas=\(replicas),branches=\(branches),stages=\(stages)"))
                }
            }
        }
        return layouts
    }()

    private struct Files {
        let pictures: [Data]
        let dumps: [Data]
    }

    /// Two pictures, so that replicas and stages have something to share.
    private func files(
        _ runner: PilotRunner, _ model: String, ranks: Int, layout: String, threads: Int, elementType: String,
        options: [String] = []
    ) async throws -> Files {
        let name = "\(ranks)-\(layout)-\(threads)"
        let result = try await Launcher.mpirun(
            ranks: ranks, "pilot",
            ["inpaint"] + runner.job + [
                "--model", "\(PilotRunner.models)/\(model)", "--count", "2", "--layout", layout, "--threads",
                "\(threads)", "--dtype", elementType, "--output", runner.path("\(name).png"), "--dump",
                runner.path("\(name).safetensors"),
            ] + options,
            // Two threads of each of eight ranks on the cores of one machine had better not wait by spinning.
            variables: ["OMP_WAIT_POLICY": "passive"])
        try #require(result.exitCode == 0, "\(ranks) ranks, \(layout): \(result.errors)")
        return Files(
            pictures: try ["\(name)-1.png", "\(name)-2.png"].map(runner.contents),
            dumps: try ["\(name)-1.safetensors", "\(name)-2.safetensors"].map(runner.contents))
    }

    /// Two nets, of which one acts on the conditional branch and in the middle of the job alone: so passes have 0, 1 and
    /// 2 nets beside the UNet.
    @Test(arguments: ["float32", "bfloat16"])
    func controlNetsMakeTheSameFiles(elementType: String) async throws {
        let runner = try PilotRunner()
        let options = [
            "--control", "\(PilotRunner.controls)/sd1", "--control", "\(PilotRunner.controls)/sd1-pooled",
            "--control-preprocess", "canny", "--control-range", "0:0.7", "--control-range", "0.3:1",
            "--control-scale", "-0.5",
        ]
        let alone = try await files(
            runner, "sd1", ranks: 1, layout: "auto", threads: 1, elementType: elementType, options: options)
        let plain = try await files(runner, "sd1", ranks: 1, layout: "auto", threads: 2, elementType: elementType)
        #expect(alone.pictures != plain.pictures)
        for (ranks, layout) in [
            (2, "branches=2"), (3, "stages=3"), (6, "branches=2,stages=3"), (4, "replicas=2,stages=2"), (8, "stages=8"),
            (3, "strips=3"), (4, "stages=2,strips=2"),
        ] {
            let found = try await files(
                runner, "sd1", ranks: ranks, layout: layout, threads: 1 + ranks % 2, elementType: elementType,
                options: options)
            #expect(found.pictures == alone.pictures, "the pictures of \(ranks) ranks, \(layout), \(elementType)")
            #expect(found.dumps == alone.dumps, "the dumps of \(ranks) ranks, \(layout), \(elementType)")
        }
    }

    /// Two T2I-Adapters that act at different times, one of them with a ControlNet and a LoRA beside it; and one with an
    /// inpainting model of odd sides.
    @Test(arguments: [("sd1", "float32"), ("sd1", "bfloat16"), ("inpaint", "float32")])
    func t2iAdaptersMakeTheSameFiles(model: String, elementType: String) async throws {
        let runner = try PilotRunner()
        let options =
            model == "inpaint"
            ? ["--size", "52x36", "--t2i-adapter", "\(PilotRunner.adapters)/inpaint"]
            : [
                "--t2i-adapter", "\(PilotRunner.adapters)/sd1", "--t2i-adapter", "\(PilotRunner.adapters)/sd1-grey",
                "--t2i-adapter-preprocess", "canny", "--t2i-adapter-range", "0:0.7", "--t2i-adapter-range", "0.3:1",
                "--t2i-adapter-scale", "-0.5", "--control", "\(PilotRunner.controls)/sd1", "--lora",
                "\(PilotRunner.models)/../lora/kohya_ldm.safetensors",
            ]
        let alone = try await files(
            runner, model, ranks: 1, layout: "auto", threads: 1, elementType: elementType, options: options)
        let plain = try await files(
            runner, model, ranks: 1, layout: "auto", threads: 2, elementType: elementType,
            options: Array(options.prefix(model == "inpaint" ? 2 : 0)))
        #expect(alone.pictures != plain.pictures)
        for (ranks, layout) in [
            (2, "branches=2"), (3, "stages=3"), (6, "branches=2,stages=3"), (4, "replicas=2,stages=2"),
        ] {
            let found = try await files(
                runner, model, ranks: ranks, layout: layout, threads: 1 + ranks % 2, elementType: elementType,
                options: options)
            #expect(found.pictures == alone.pictures, "the pictures of \(ranks) ranks, \(layout), \(elementType)")
            #expect(found.dumps == alone.dumps, "the dumps of \(ranks) ranks, \(layout), \(elementType)")
        }
    }

    /// Two IP-Adapters, with a ControlNet, a T2I-Adapter and a LoRA beside them; and one of an inpainting model.
    @Test(arguments: [("sd1", "float32"), ("sd1", "bfloat16"), ("inpaint", "float32")])
    func ipAdaptersMakeTheSameFiles(model: String, elementType: String) async throws {
        let runner = try PilotRunner()
        let options =
            model == "inpaint"
            ? [
                "--size", "52x36", "--ip-adapter", "\(PilotRunner.imageAdapters)/inpaint.safetensors",
                "--ip-adapter-image", runner.path("image.png"),
            ]
            : [
                "--ip-adapter", "\(PilotRunner.imageAdapters)/sd1-plus.safetensors", "--ip-adapter",
                "\(PilotRunner.imageAdapters)/sd1.safetensors", "--ip-adapter-image", runner.path("image.png"),
                "--ip-adapter-image", runner.path("mask.png"), "--ip-adapter-scale", "0.6", "--ip-adapter-scale",
                "-0.5",
                "--t2i-adapter", "\(PilotRunner.adapters)/sd1", "--control", "\(PilotRunner.controls)/sd1", "--lora",
                "\(PilotRunner.models)/../lora/kohya_ldm.safetensors",
            ]
        let alone = try await files(
            runner, model, ranks: 1, layout: "auto", threads: 1, elementType: elementType, options: options)
        let plain = try await files(
            runner, model, ranks: 1, layout: "auto", threads: 2, elementType: elementType,
            options: model == "inpaint" ? Array(options.prefix(2)) : Array(options.dropFirst(12)))
        #expect(alone.pictures != plain.pictures)
        for (ranks, layout) in [
            (2, "branches=2"), (3, "stages=3"), (6, "branches=2,stages=3"), (4, "replicas=2,stages=2"),
        ] {
            let found = try await files(
                runner, model, ranks: ranks, layout: layout, threads: 1 + ranks % 2, elementType: elementType,
                options: options)
            #expect(found.pictures == alone.pictures, "the pictures of \(ranks) ranks, \(layout), \(elementType)")
            #expect(found.dumps == alone.dumps, "the dumps of \(ranks) ranks, \(layout), \(elementType)")
        }
    }

    @Test(arguments: [("sd1", "float32"), ("sd1", "bfloat16"), ("odd", "float32")])
    func everyLayoutWritesTheSameFiles(model: String, elementType: String) async throws {
        let runner = try PilotRunner()
        let alone = try await files(
            runner, model, ranks: 1, layout: "auto", threads: 1, elementType: elementType)
        #expect(alone.pictures[0] != alone.pictures[1])
        for (index, (ranks, layout)) in (Self.layouts + Self.strips).enumerated()
        where (elementType == "float32" || index % 3 == 0) && !(model == "odd" && layout.hasSuffix("stages=8")) {
            let found = try await files(
                runner, model, ranks: ranks, layout: layout, threads: 1 + index % 2, elementType: elementType)
            #expect(found.pictures == alone.pictures, "the pictures of \(ranks) ranks, \(layout), \(elementType)")
            #expect(found.dumps == alone.dumps, "the dumps of \(ranks) ranks, \(layout), \(elementType)")
        }
    }
}
