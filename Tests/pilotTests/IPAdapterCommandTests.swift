import Foundation
import ImageFiles
import TestSupport
import Testing

/// IP-Adapters on the command line: what is recorded, repeated, found.
@Suite struct IPAdapterCommandTests {
    private static let adapter = "\(PilotRunner.imageAdapters)/sd1.safetensors"

    @Test func aJobIsRepeatedWithItsAdaptersAndPictures() async throws {
        let runner = try PilotRunner()
        try FileManager.default.copyContents(atPath: PilotRunner.imageAdapters, toPath: runner.path("adapters"))
        let adapter = runner.path("adapters/sd1-plus.safetensors")
        try runner.write(runner.contents("image.png"), to: "shown.png")
        let first = try await runner.inpaint(
            runner.job + [
                "--ip-adapter", adapter, "--ip-adapter-image", runner.path("shown.png"), "--ip-adapter-scale", "0.5",
                "--ip-adapter-fit", "squash", "--output", runner.path("a.png"),
            ])
        #expect(first.exitCode == 0, "\(first.errors)")
        let again = ["--from", runner.path("a.png"), "--output"]
        let second = try await runner.inpaint(again + [runner.path("b.png")])
        #expect(second.exitCode == 0, "\(second.errors)")
        #expect(try runner.contents("a.png") == runner.contents("b.png"))
        for option in [["--ip-adapter-scale", "0.1"], ["--ip-adapter-fit", "crop"]] {
            let other = try await runner.inpaint(again + [runner.path("c.png"), "--overwrite"] + option)
            #expect(other.exitCode == 0, "\(other.errors)")
            #expect(try runner.contents("a.png") != runner.contents("c.png"), "\(option)")
        }

        try runner.write(runner.contents("mask.png"), to: "shown.png")
        let shown = try await runner.inpaint(again + [runner.path("d.png")])
        #expect(shown.exitCode == 65 && shown.errors.contains("shown.png: has changed"), "\(shown.errors)")
        try runner.write(runner.contents("image.png"), to: "shown.png")
        for (name, mention) in [
            ("adapters/sd1-plus.safetensors", "--ip-adapter \(adapter)"),
            ("adapters/image_encoder/model.safetensors", "--image-encoder"),
        ] {
            let kept = try runner.contents(name)
            var damaged = kept
            damaged[damaged.count - 1] ^= 1
            try runner.write(damaged, to: name)
            let changed = try await runner.inpaint(again + [runner.path("d.png")])
            #expect(changed.exitCode == 65 && changed.errors.contains("has changed"), "\(changed.errors)")
            #expect(changed.errors.contains(mention), "\(changed.errors)")
            try runner.write(kept, to: name)
        }
        // Another adapter may have another encoder beside it.
        try FileManager.default.copyContents(atPath: PilotRunner.imageAdapters, toPath: runner.path("others"))
        var weights = try runner.contents("others/image_encoder/model.safetensors")
        weights[weights.count - 1] ^= 1
        try runner.write(weights, to: "others/image_encoder/model.safetensors")
        let other = try await runner.inpaint(
            again + [runner.path("d.png"), "--ip-adapter", runner.path("others/sd1-plus.safetensors")]
                + ["--ip-adapter-image", runner.path("shown.png")])
        #expect(other.exitCode == 0, "\(other.errors)")
    }

    /// Beside the adapter, in the model, or where it is said.
    @Test func theEncoderIsFound() async throws {
        let runner = try PilotRunner()
        try FileManager.default.copyContents(atPath: Self.adapter, toPath: runner.path("adapter.safetensors"))
        let job =
            runner.job + [
                "--ip-adapter-image", runner.path("image.png"), "--overwrite", "--output", runner.path("a.png"),
            ]
        let beside = try await runner.inpaint(job + ["--ip-adapter", Self.adapter, "--no-paths"])
        #expect(beside.exitCode == 0, "\(beside.errors)")
        let picture = try DecodedImage.read(runner.path("a.png")).rgb
        let named = try await runner.inpaint(
            job + [
                "--ip-adapter", runner.path("adapter.safetensors"), "--image-encoder",
                "\(PilotRunner.imageAdapters)/image_encoder",
            ])
        #expect(named.exitCode == 0, "\(named.errors)")
        #expect(try DecodedImage.read(runner.path("a.png")).rgb == picture)
        let model = try runner.copyModel()
        try FileManager.default.copyContents(
            atPath: "\(PilotRunner.imageAdapters)/image_encoder", toPath: "\(model)/image_encoder")
        let inModel = try await runner.inpaint(
            job + ["--ip-adapter", runner.path("adapter.safetensors"), "--model", model])
        #expect(inModel.exitCode == 0, "\(inModel.errors)")
        #expect(try DecodedImage.read(runner.path("a.png")).rgb == picture)
    }

    /// The contents of adapter, picture and encoder stay known.
    @Test func aRecordWithoutPathsIsRepeated() async throws {
        let runner = try PilotRunner()
        let options = ["--ip-adapter", Self.adapter, "--ip-adapter-image", runner.path("mask.png")]
        let first = try await runner.inpaint(runner.job + options + ["--no-paths", "--output", runner.path("a.png")])
        #expect(first.exitCode == 0, "\(first.errors)")
        let text = try #require(
            try DecodedImage.read(runner.path("a.png")).textChunks.first { $0.keyword == "pilot" }?.text)
        #expect(!text.contains(runner.folder) && !text.contains(PilotRunner.imageAdapters), "\(text)")
        for purpose in ["ip-adapter", "ip-adapter-image", "image-encoder"] {
            #expect(text.contains("\"\(purpose)\":"), "\(text)")
        }
        let again = ["--from", runner.path("a.png"), "--no-paths", "--output", runner.path("b.png")]
        let nameless = try await runner.inpaint(again + Array(runner.job.prefix(6)))
        #expect(nameless.exitCode == 64 && nameless.errors.contains("--ip-adapter-image"), "\(nameless.errors)")
        let named = try await runner.inpaint(again + Array(runner.job.prefix(6)) + options)
        #expect(named.exitCode == 0, "\(named.errors)")
        #expect(try runner.contents("a.png") == runner.contents("b.png"))
    }

    @Test func aBatchsLinesHavePicturesOfTheirOwn() async throws {
        let runner = try PilotRunner()
        try runner.write(
            """
            {"prompt": "fox", "output": "a.png", "ip_adapter": [{"ip_adapter_image": "\(runner.path("mask.png"))"}]}
            {"prompt": "fox", "output": "b.png", "ip_adapter": [{"ip_adapter_scale": 0.5, "ip_adapter_fit": "squash"}]}
            {"prompt": "fox", "output": "c.png"}
            """, to: "jobs.jsonl")
        let common = ["--ip-adapter", Self.adapter, "--ip-adapter-image", runner.path("image.png")]
        let command = ["batch", runner.path("jobs.jsonl"), "--output", runner.path("out")] + common
        let batch = try await runner.run(command + runner.job, ranks: 2)
        #expect(batch.exitCode == 0 && batch.output.contains("3 done"), "\(batch.errors)")
        let rerun = try await runner.run(command + runner.job)
        #expect(rerun.exitCode == 0 && rerun.output.contains("3 present"), "\(rerun.errors)")
        for (name, options) in [
            ("a.png", ["--ip-adapter-image", runner.path("mask.png")]),
            (
                "b.png",
                ["--ip-adapter-image", runner.path("image.png"), "--ip-adapter-scale", "0.5"]
                    + ["--ip-adapter-fit", "squash"]
            ),
            ("c.png", ["--ip-adapter-image", runner.path("image.png")]),
        ] {
            let alone = try await runner.inpaint(
                runner.job + ["--ip-adapter", Self.adapter] + options
                    + ["--prompt", "fox", "--output", runner.path(name)])
            #expect(alone.exitCode == 0, "\(alone.errors)")
            #expect(try runner.contents(name) == runner.contents("out/\(name)"), "\(name)")
        }
    }

    /// A batch whose lines have the pictures needs none on the command line.
    @Test func linesMayHaveAllPictures() async throws {
        let runner = try PilotRunner()
        let shown = #""ip_adapter": [{"ip_adapter_image": "\#(runner.path("mask.png"))"}]"#
        try runner.write(
            """
            {"prompt": "fox", "output": "a.png", \(shown)}
            {"prompt": "fox", "output": "b.png"}
            """, to: "jobs.jsonl")
        let command = [
            "batch", runner.path("jobs.jsonl"), "--output", runner.path("out"), "--ip-adapter", Self.adapter,
        ]
        let batch = try await runner.run(command + ["--keep-going"] + runner.job)
        #expect(batch.exitCode == 64 && batch.output.contains("1 done"), "\(batch.errors)")
        #expect(batch.errors.contains("line 2") && batch.errors.contains("--ip-adapter-image"), "\(batch.errors)")
    }

    @Test(
        arguments: [
            (#"[{"ip_adapter": "\#(PilotRunner.imageAdapters)/sd1-plus.safetensors"}]"#, "one of IP-Adapters"),
            (#"[{"ip_adapter_range": "0:1"}]"#, "ip_adapter[0].ip_adapter_range"), ("[7]", "ip_adapter[0]"),
            (#"[{"ip_adapter_fit": "stretch"}]"#, "\"crop\" or \"squash\""), ("[]", "one of IP-Adapters"),
            (#"[{}, {"ip_adapter": "x"}]"#, "ip_adapter[1].ip_adapter_image: missing"),
        ])
    func wrongLinesAreNamed(value: String, mention: String) async throws {
        let runner = try PilotRunner()
        try runner.write(#"{"prompt": "fox", "output": "a.png", "ip_adapter": \#(value)}"#, to: "jobs.jsonl")
        let result = try await runner.run(
            ["batch", runner.path("jobs.jsonl"), "--output", runner.path("out"), "--ip-adapter", Self.adapter]
                + ["--ip-adapter-image", runner.path("image.png")] + runner.job)
        #expect(result.exitCode == 65, "\(result.errors)")
        #expect(result.errors.contains("line 1") && result.errors.contains(mention), "\(result.errors)")
    }

    @Test func thePlanCountsAdapters() async throws {
        let runner = try PilotRunner()
        let plan = ["plan", "--model", "\(PilotRunner.models)/sd1", "--size", "64x48", "--json"]
        let plain = try await runner.run(plan)
        let adapted = try await runner.run(plan + ["--ip-adapter", Self.adapter])
        #expect(plain.exitCode == 0 && adapted.exitCode == 0, "\(adapted.errors)")
        #expect(plain.output != adapted.output)
    }
}
