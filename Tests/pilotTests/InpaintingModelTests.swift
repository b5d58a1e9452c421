import Foundation
import ImageFiles
import TensorKernels
import TestSupport
import Testing

/// Models of nine input channels: PILOT on them, and the baseline SD-Inpaint.
@Suite struct InpaintingModelTests {
    private static let model = "\(PilotRunner.models)/inpaint"

    /// The runner's job on such a model.
    private func job(_ runner: PilotRunner, _ options: [String] = []) -> [String] {
        Array(runner.job.dropFirst(2)) + ["--model", Self.model] + options
    }

    private func inpaint(_ runner: PilotRunner, _ options: [String], to name: String, ranks: Int = 1) async throws {
        let result = try await runner.inpaint(
            job(runner, options) + ["--output", runner.path("\(name).png")], ranks: ranks)
        #expect(result.exitCode == 0, "\(result.errors)")
    }

    private func picture(_ runner: PilotRunner, _ name: String) throws -> RGBImage {
        try DecodedImage.read(runner.path("\(name).png")).rgb
    }

    @Test(arguments: ["pilot", "inpaint"], ["float32", "bfloat16"])
    func everyLayoutWritesTheSameFile(method: String, elementType: String) async throws {
        let runner = try PilotRunner()
        let options = ["--method", method, "--dtype", elementType]
        try await inpaint(runner, options, to: "alone")
        for (ranks, layout, threads) in [
            (1, "auto", "2"), (2, "branches=2", "1"), (2, "stages=2", "2"),
        ] {
            let name = "\(layout)-\(threads)"
            try await inpaint(
                runner, options + ["--layout", layout, "--threads", threads], to: name, ranks: ranks)
            #expect(try runner.contents("\(name).png") == runner.contents("alone.png"), "\(name)")
        }
    }

    @Test func theBaselineIsRecordedAndRepeated() async throws {
        let runner = try PilotRunner()
        try await inpaint(runner, ["--method", "pilot"], to: "pilot")
        try await inpaint(runner, [], to: "default")
        #expect(try runner.contents("default.png") == runner.contents("pilot.png"), "the default says nothing")
        try await inpaint(runner, ["--method", "inpaint"], to: "baseline")
        #expect(try picture(runner, "baseline") != picture(runner, "pilot"))
        // What then means nothing is accepted, and changes nothing.
        try await inpaint(
            runner,
            [
                "--method", "inpaint", "--coherence", "1", "--optimize-every", "1", "--gradient-steps", "7",
                "--learning-rate", "0.1", "--no-cross-attention-mask", "--no-self-attention-mask", "--lambda", "3",
            ], to: "same")
        #expect(try picture(runner, "same") == picture(runner, "baseline"))
        let again = try await runner.inpaint(
            ["--from", runner.path("baseline.png"), "--output", runner.path("again.png")], ranks: 2)
        #expect(again.exitCode == 0, "\(again.errors)")
        #expect(try runner.contents("again.png") == runner.contents("baseline.png"))
        let other = try await runner.inpaint(
            ["--from", runner.path("baseline.png"), "--method", "pilot", "--output", runner.path("other.png")])
        #expect(other.exitCode == 0, "\(other.errors)")
        #expect(try runner.contents("other.png") == runner.contents("pilot.png"))
    }

    @Test func keptPixelsArePastedBack() async throws {
        let runner = try PilotRunner()
        try await inpaint(runner, ["--method", "inpaint"], to: "result")
        let (image, result) = (try picture(runner, "image"), try picture(runner, "result"))
        let mask = try DecodedImage.read(runner.path("mask.png")).rgb
        let kept = mask.bytes.indices.filter { mask.bytes[$0] == 0 }
        #expect(!kept.isEmpty && kept.allSatisfy { image.bytes[$0] == result.bytes[$0] })
        #expect(image.bytes != result.bytes)
    }

    /// Beside the baseline, too, stands what blending alone makes.
    @Test func isComparedWithBlendingAlone() async throws {
        let runner = try PilotRunner()
        for method in ["pilot", "inpaint"] {
            try await inpaint(
                runner, ["--method", method, "--compare", runner.path("\(method)-strip.png")], to: method)
        }
        func right(_ name: String) throws -> [UInt8] {
            let strip = try picture(runner, "\(name)-strip")
            let width = try picture(runner, name).width
            return (0..<strip.height).flatMap { row in
                strip.bytes[3 * ((row + 1) * strip.width - width)..<3 * (row + 1) * strip.width]
            }
        }
        #expect(try right("pilot") == right("inpaint"))
        #expect(try right("inpaint") != picture(runner, "inpaint").bytes)
    }

    @Test func aBatchHasBothMethods() async throws {
        let runner = try PilotRunner()
        try await inpaint(runner, ["--method", "inpaint"], to: "baseline")
        try await inpaint(runner, [], to: "pilot")
        try runner.write(
            """
            {"output": "baseline.png", "prompt": "fox", "method": "inpaint"}
            {"output": "pilot.png", "prompt": "fox", "method": "pilot"}
            """, to: "jobs.jsonl")
        let shared = job(runner).filter { !["--prompt", "fox"].contains($0) }
        let result = try await runner.run(
            ["batch", runner.path("jobs.jsonl"), "--output", runner.path("out")] + shared, ranks: 2)
        #expect(result.exitCode == 0, "\(result.errors)")
        for name in ["baseline.png", "pilot.png"] {
            #expect(try runner.contents("out/\(name)") == runner.contents(name), "\(name)")
        }
        // A line for a model of four channels is refused before anything is begun.
        let refused = try await runner.run(
            [
                "batch", runner.path("jobs.jsonl"), "--output", runner.path("none"), "--model",
                "\(PilotRunner.models)/sd1", "--image", runner.path("image.png"), "--mask", runner.path("mask.png"),
            ])
        #expect(refused.exitCode == 64)
        #expect(refused.errors.contains("jobs.jsonl line 1: --method inpaint"), "\(refused.errors)")
        #expect(!FileManager.default.fileExists(atPath: runner.path("none")))
    }

    /// A thin line of the mask is lost to `nearest` in a smaller picture, in every other column. Where `max` repaints it,
    /// the network does not see what is under it.
    @Test func whatIsRepaintedIsHiddenFromTheNetwork() async throws {
        let runner = try PilotRunner()
        let (width, height) = (96, 64)
        let grey = [UInt8](repeating: 200, count: 3 * width * height)
        try RGBImage(width: width, height: height, bytes: grey).writePNG(to: runner.path("image.png"))
        func isHidden(_ column: Int, _ way: String) async throws -> Bool {
            let mask = (0..<3 * width * height).map { UInt8($0 / 3 % width == column ? 255 : 0) }
            let name = "\(column)-\(way)"
            try RGBImage(width: width, height: height, bytes: mask).writePNG(to: runner.path("mask.png"))
            try await inpaint(
                runner,
                [
                    "--method", "inpaint", "--size", "48x32", "--mask-downsample", way, "--dump",
                    runner.path("\(name).safetensors"),
                ], to: name)
            let tensors = try TensorFile(runner.path("\(name).safetensors")).tensors
            let masked = try #require(tensors["masked_image_latent"]).float32Values()
            return try masked != #require(tensors["image_latent"]).float32Values()
        }
        let (even, odd) = (try await isHidden(48, "nearest"), try await isHidden(49, "nearest"))
        #expect(even != odd)
        #expect(try await isHidden(48, "max"))
        #expect(try await isHidden(49, "max"))
    }

    @Test func isMadeInspectedConvertedAndTimed() async throws {
        let runner = try PilotRunner()
        let (folder, file) = (runner.path("tiny"), runner.path("tiny.safetensors"))
        for arguments in [
            ["init", "--architecture", "tiny-inpaint", "--dtype", "float16", "--output", folder],
            ["convert", folder, "--output", file],
            ["convert", file, "--model-config", folder, "--output", runner.path("again")],
        ] {
            let result = try await runner.run(["model"] + arguments)
            #expect(result.exitCode == 0, "\(result.errors)")
        }
        for part in ["unet/config.json", "model_index.json", "unet/diffusion_pytorch_model.safetensors"] {
            #expect(try runner.contents("again/\(part)") == runner.contents("tiny/\(part)"), "\(part)")
        }
        let index = String(decoding: try runner.contents("tiny/model_index.json"), as: UTF8.self)
        #expect(index.contains("StableDiffusionInpaintPipeline"))
        let inspected = try await runner.run(["model", "inspect", folder])
        #expect(inspected.output.contains("tiny, as pilot model init makes it, for inpainting"), "\(inspected.output)")
        let timed = try await runner.run(
            ["model", "benchmark", "--model", folder, "--passes", "1", "--gradient", "--size", "64x64"], ranks: 2)
        #expect(timed.exitCode == 0, "\(timed.errors)")
    }

    /// Without gradient steps a plan's pictures are done sooner, and on a model of four channels there is none.
    @Test func thePlanKnowsTheMethod() async throws {
        let runner = try PilotRunner()
        func seconds(_ options: [String]) async throws -> Double {
            let result = try await runner.run(["plan", "--model", Self.model, "--json"] + options)
            #expect(result.exitCode == 0, "\(result.errors)")
            let figures = try JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any]
            return try #require(figures?["picture_seconds"] as? Double)
        }
        let baseline = try await seconds(["--method", "inpaint"])
        #expect(try await seconds(["--coherence", "0"]) == baseline)
        #expect(try await seconds([]) > 1.5 * baseline)
        let refused = try await runner.run(["plan", "--model", "\(PilotRunner.models)/sd1", "--method", "inpaint"])
        #expect(refused.exitCode == 64)
        #expect(refused.failureLines.first?.contains("models/sd1") == true, "\(refused.errors)")
    }
}
