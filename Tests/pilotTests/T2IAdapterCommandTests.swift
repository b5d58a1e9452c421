import Foundation
import ImageFiles
import TestSupport
import Testing

/// T2I-Adapters on the command line: what is recorded, repeated, told.
@Suite struct T2IAdapterCommandTests {
    @Test func aJobIsRepeatedWithItsAdaptersAndMaps() async throws {
        let runner = try PilotRunner()
        let adapter = runner.path("adapter")
        try FileManager.default.copyContents(atPath: "\(PilotRunner.adapters)/sd1", toPath: adapter)
        try runner.write(runner.contents("image.png"), to: "map.png")
        let first = try await runner.inpaint(
            runner.job + [
                "--t2i-adapter", adapter, "--t2i-adapter-image", runner.path("map.png"), "--t2i-adapter-scale", "0.5",
                "--t2i-adapter-preprocess", "canny", "--output", runner.path("a.png"),
            ])
        #expect(first.exitCode == 0, "\(first.errors)")
        let again = ["--from", runner.path("a.png"), "--output"]
        let second = try await runner.inpaint(again + [runner.path("b.png")])
        #expect(second.exitCode == 0, "\(second.errors)")
        #expect(try runner.contents("a.png") == runner.contents("b.png"))
        // An option beside the record changes its adapter.
        let weaker = try await runner.inpaint(again + [runner.path("c.png"), "--t2i-adapter-scale", "0.1"])
        #expect(weaker.exitCode == 0, "\(weaker.errors)")
        #expect(try runner.contents("a.png") != runner.contents("c.png"))

        try runner.write(runner.contents("mask.png"), to: "map.png")
        let map = try await runner.inpaint(again + [runner.path("d.png")])
        #expect(map.exitCode == 65 && map.errors.contains("map.png: has changed"), "\(map.errors)")
        try runner.write(runner.contents("image.png"), to: "map.png")
        var weights = try runner.contents("adapter/diffusion_pytorch_model.safetensors")
        weights[weights.count - 1] ^= 1
        try runner.write(weights, to: "adapter/diffusion_pytorch_model.safetensors")
        let changed = try await runner.inpaint(again + [runner.path("d.png")])
        #expect(changed.exitCode == 65 && changed.errors.contains("--t2i-adapter \(adapter)"), "\(changed.errors)")
    }

    /// The contents of adapter and map stay known, and their paths are said again.
    @Test func aRecordWithoutPathsIsRepeated() async throws {
        let runner = try PilotRunner()
        let options = [
            "--t2i-adapter", "\(PilotRunner.adapters)/sd1", "--t2i-adapter-image", runner.path("mask.png"),
        ]
        let first = try await runner.inpaint(runner.job + options + ["--no-paths", "--output", runner.path("a.png")])
        #expect(first.exitCode == 0, "\(first.errors)")
        let text = try #require(
            try DecodedImage.read(runner.path("a.png")).textChunks.first { $0.keyword == "pilot" }?.text)
        #expect(!text.contains(runner.folder) && !text.contains(PilotRunner.adapters), "\(text)")
        #expect(text.contains("\"t2i-adapter\":") && text.contains("\"t2i-adapter-image\":"), "\(text)")
        let again = ["--from", runner.path("a.png"), "--no-paths", "--output", runner.path("b.png")]
        let nameless = try await runner.inpaint(
            again + ["--image", runner.path("image.png"), "--mask", runner.path("mask.png")])
        #expect(nameless.exitCode == 64 && nameless.errors.contains("--t2i-adapter-image"), "\(nameless.errors)")
        let named = try await runner.inpaint(again + Array(runner.job.prefix(6)) + options)
        #expect(named.exitCode == 0, "\(named.errors)")
        #expect(try runner.contents("a.png") == runner.contents("b.png"))
    }

    @Test func aBatchsLinesHaveMapsOfTheirOwn() async throws {
        let runner = try PilotRunner()
        try runner.write(
            """
            {"prompt": "fox", "output": "a.png", "t2i_adapter": [{"t2i_adapter_image": "\(runner.path("mask.png"))"}]}
            {"prompt": "fox", "output": "b.png", "t2i_adapter": [{"t2i_adapter_scale": 0.5, "t2i_adapter_range": "0:0.9"}]}
            {"prompt": "fox", "output": "c.png"}
            """, to: "jobs.jsonl")
        let common = ["--t2i-adapter", "\(PilotRunner.adapters)/sd1-light", "--t2i-adapter-preprocess", "canny"]
        let command = ["batch", runner.path("jobs.jsonl"), "--output", runner.path("out")] + common
        let batch = try await runner.run(command + runner.job, ranks: 2)
        #expect(batch.exitCode == 0 && batch.output.contains("3 done"), "\(batch.errors)")
        let rerun = try await runner.run(command + runner.job)
        #expect(rerun.exitCode == 0 && rerun.output.contains("3 present"), "\(rerun.errors)")
        for (name, options) in [
            ("a.png", ["--t2i-adapter-image", runner.path("mask.png")]),
            ("b.png", ["--t2i-adapter-scale", "0.5", "--t2i-adapter-range", "0:0.9"]), ("c.png", []),
        ] {
            let alone = try await runner.inpaint(
                runner.job + common + options + ["--prompt", "fox", "--output", runner.path(name)])
            #expect(alone.exitCode == 0, "\(alone.errors)")
            #expect(try runner.contents(name) == runner.contents("out/\(name)"), "\(name)")
        }
    }

    @Test(
        arguments: [
            (#"[{"t2i_adapter": "\#(PilotRunner.adapters)/sd1-grey"}]"#, "one of T2I-Adapters"),
            (#"[{"t2i_adapter_mode": "guess"}]"#, "t2i_adapter[0].t2i_adapter_mode"),
            (#"{"t2i_adapter": "x"}"#, "t2i_adapter: expected a list"), ("[7]", "t2i_adapter[0]"),
            (#"[{"t2i_adapter_range": "0.5"}]"#, "t2i_adapter[0].t2i_adapter_range"), ("[]", "one of T2I-Adapters"),
        ])
    func wrongLinesAreNamed(value: String, mention: String) async throws {
        let runner = try PilotRunner()
        try runner.write(#"{"prompt": "fox", "output": "a.png", "t2i_adapter": \#(value)}"#, to: "jobs.jsonl")
        let result = try await runner.run(
            ["batch", runner.path("jobs.jsonl"), "--output", runner.path("out"), "--t2i-adapter"]
                + ["\(PilotRunner.adapters)/sd1"] + runner.job)
        #expect(result.exitCode == 65, "\(result.errors)")
        #expect(result.errors.contains("line 1") && result.errors.contains(mention), "\(result.errors)")
    }

    /// Of a map in grey the preview shows the colours, since the adapter makes it grey.
    @Test func previewsAndWarningsTellOfMaps() async throws {
        let runner = try PilotRunner()
        var paper = [UInt8](repeating: 255, count: 3 * 32 * 32)
        for byte in 3 * 32 * 10..<3 * 32 * 11 { paper[byte] = 0 }
        try RGBImage(width: 32, height: 32, bytes: paper).writePNG(
            to: runner.path("ink.png"), metadata: PictureMetadata())
        let job = try await runner.inpaint(
            runner.job + [
                "--t2i-adapter", "\(PilotRunner.adapters)/sd1-grey", "--t2i-adapter-image", runner.path("ink.png"),
                "--preview", runner.path("previews"), "--output", runner.path("a.png"),
            ])
        #expect(job.exitCode == 0, "\(job.errors)")
        #expect(
            job.errors.contains("--t2i-adapter-preprocess invert") && job.errors.contains("aspect"), "\(job.errors)")
        let photograph = try DecodedImage.read(runner.path("image.png"))
        let map = try DecodedImage.read(runner.path("previews/step-000-t2i-adapter-1.png"))
        #expect((map.width, map.height) == (photograph.width, photograph.height))
    }

    @Test func thePlanCountsAdapters() async throws {
        let runner = try PilotRunner()
        let plan = ["plan", "--model", "\(PilotRunner.models)/sd1", "--size", "64x48", "--json"]
        let plain = try await runner.run(plan)
        let adapted = try await runner.run(plan + ["--t2i-adapter", "\(PilotRunner.adapters)/sd1"])
        #expect(plain.exitCode == 0 && adapted.exitCode == 0, "\(adapted.errors)")
        #expect(plain.output != adapted.output)
    }
}
