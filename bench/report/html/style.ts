/** The report's style sheet: one measure for text, tables with rules and no boxes, light and dark, phone and print. */
export const STYLE = `
:root{
--paper:#fff;--ink:#1b1d21;--quiet:#5b6068;--rule:#d5d7db;--strong:#1b1d21;--link:#0b5a9c;
--tint:#f4f5f7;--source:#f8f3e7;--source-ink:#6b5215;--yes:#15693f;--no:#a3262a;--unknown:#6b5215;
--serif:Charter,"Bitstream Charter","Sitka Text",Cambria,Georgia,"Liberation Serif",serif;
--sans:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,"Liberation Sans",sans-serif;
--mono:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono","Liberation Mono",monospace;
}
@media (prefers-color-scheme:dark){:root{
--paper:#15171a;--ink:#e4e5e7;--quiet:#a0a5ad;--rule:#3a3e45;--strong:#c4c7cc;--link:#7ab8ee;
--tint:#1f2226;--source:#2a2619;--source-ink:#dcc68a;--yes:#6cc795;--no:#f08a86;--unknown:#dcc68a;
}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%}
body{margin:0 auto;padding:3.5rem 1.5rem 4rem;max-width:71rem;background:var(--paper);color:var(--ink);
font:1.0625rem/1.6 var(--serif);font-feature-settings:"kern","liga"}
p,ul,ol,dl{margin:0 0 1rem}
p,.question,.notes,figcaption,.tally{max-width:44rem}
h1,h2,h3{font-family:var(--sans);line-height:1.2;margin:0;text-wrap:balance;letter-spacing:-.012em}
h1{font-size:2.1rem;font-weight:650;margin-bottom:1rem}
h2{font-size:1.4rem;font-weight:650;margin-bottom:.6rem}
h3{font-size:1rem;font-weight:600;margin-bottom:.4rem}
a{color:var(--link);text-decoration-thickness:.06em;text-underline-offset:.18em}
code,pre{font-family:var(--mono)}
code{font-size:.86em}
:focus-visible{outline:2px solid var(--link);outline-offset:2px}
.overline{font:500 .8125rem/1.4 var(--sans);color:var(--quiet);margin-bottom:.7rem;overflow-wrap:anywhere}
.lead{font-size:1.125rem}
.quiet,.none{color:var(--quiet)}
.none{font-style:italic}
.source{font:600 .6875rem/1 var(--sans);letter-spacing:.04em;text-transform:uppercase;color:var(--source-ink);background:var(--source);padding:.15em .4em;border-radius:3px;white-space:nowrap}
.mark{font:500 .8125rem/1.4 var(--sans);color:var(--no)}
.notice{font-family:var(--sans);font-size:.9375rem;border-left:3px solid var(--no);padding:.1rem 0 .1rem .9rem}
.environment{font:.9063rem/1.5 var(--sans);background:var(--tint);border-radius:6px;padding:1.1rem 1.3rem;margin:1.8rem 0 0}
.environment .label{margin-bottom:.8rem;max-width:none}
.environment dl{margin:0}
.environment dl>div{display:grid;grid-template-columns:7rem 1fr;gap:0 1rem;padding:.22rem 0}
.environment dt{color:var(--quiet)}
.environment dd{margin:0;overflow-wrap:anywhere}
.environment ul{list-style:none;margin:0;padding:0}
.badge{display:inline-block;font-weight:650;padding:.05em .55em;margin-right:.45em;border-radius:4px;border:1.5px solid currentColor}
.badge.bare-metal{color:var(--yes)}.badge.vm,.badge.nested-vm,.badge.unknown{color:var(--unknown)}.badge.emulated{color:var(--no)}
h2.place{margin:2.2rem 0 .9rem}
h2.place~.environment{margin-top:.9rem}
.place .badge{font-size:.8125rem;vertical-align:.12em}
h3 .badge,.tallies .badge{font-size:.75rem;margin-left:.3em}
.notice pre{margin:.6rem 0;white-space:pre-wrap;overflow-wrap:anywhere}
.experiment>.place{margin-top:2.6rem;padding-top:1.2rem;border-top:1px solid var(--rule)}
.experiment>.place>h3{font-size:1.125rem}
.tallies{list-style:none;padding:0}
main>section,footer>section{margin-top:3.6rem}
.tally{font-size:1.125rem}
.verdict{font-weight:600;display:block}
.verdict span{display:inline-block;width:1.1em}
.yes .verdict{color:var(--yes)}.no .verdict{color:var(--no)}.undecided .verdict,.unknown .verdict{color:var(--unknown)}
.where{font:.8125rem/1.4 var(--sans);color:var(--quiet);white-space:nowrap}
.claims th,.claims td{white-space:normal;min-width:9rem}
.claims tbody th[scope=row]{min-width:14rem;max-width:24rem}
.claims .group th{position:static;font-weight:600;padding-top:1rem}
.why{display:block;color:var(--quiet)}
nav{margin-top:2.2rem;font:.9375rem/1.5 var(--sans)}
nav ul{list-style:none;padding:0;margin:0;display:flex;flex-wrap:wrap;gap:.3rem 1.4rem}
.experiment{border-top:1px solid var(--rule);padding-top:1.8rem}
.question{font-size:1.125rem;font-style:italic;color:var(--quiet)}
figure{margin:1.9rem 0}
figcaption{margin-bottom:.55rem}
figcaption strong{font:600 .9688rem/1.45 var(--sans)}
.scroll{overflow-x:auto;-webkit-overflow-scrolling:touch}
table{border-collapse:collapse;font:.875rem/1.4 var(--sans);font-variant-numeric:tabular-nums lining-nums;border-top:1.5px solid var(--strong);border-bottom:1.5px solid var(--strong)}
th,td{padding:.36rem .7rem;text-align:left;vertical-align:top;font-weight:400;white-space:nowrap}
thead th{vertical-align:bottom;text-wrap:balance;font-weight:600;white-space:normal;border-bottom:1px solid var(--strong);min-width:4.5rem}
tbody th{position:sticky;left:0;background:var(--paper)}
tbody tr+tr>*{border-top:1px solid var(--rule)}
td.text{white-space:normal;min-width:7rem}
.number{text-align:right}
.paper{background:var(--source)}
.paper.first{border-left:3px solid var(--paper)}
.groups>*{border-bottom:0!important;padding-bottom:0;min-width:0}
.groups .source{background:none;padding:0}
.unit{display:block;font-weight:400;color:var(--quiet)}
td.none,th.none{font-size:.8125rem}
.notes{font:.8438rem/1.5 var(--sans);color:var(--quiet);padding-left:1.1rem;margin:.6rem 0 0}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,26rem),1fr));gap:0 2rem;align-items:start}
.chart .card{background:#fff;border:1px solid var(--rule);border-radius:6px;padding:.4rem;overflow-x:auto}
.chart .drawing{margin:0 auto}
.chart svg{display:block;width:100%;height:auto}
.chart figcaption{margin:.7rem 0 0;font-size:.9688rem;line-height:1.5}
pre{font-size:.75rem;line-height:1.5;background:var(--tint);border-radius:6px;padding:1rem 1.1rem;margin:0;overflow:auto;max-height:30rem;tab-size:4}
.failures{border-left:3px solid var(--no);padding-left:1rem;font:.9063rem/1.5 var(--sans);overflow-wrap:anywhere}
.failures ul{padding-left:1.1rem;margin:0}
details{margin-top:1.6rem;font-family:var(--sans);font-size:.9063rem}
summary{cursor:pointer;color:var(--link);font-weight:500}
details>:not(summary){margin-top:1rem}
footer{border-top:1.5px solid var(--strong);margin-top:4rem}
footer>section{margin-top:1.8rem}
footer p{font-size:.9688rem}
footer h2{font-size:1.125rem}
.record{margin:0;line-height:1.45}
.record>div{display:grid;grid-template-columns:minmax(6rem,12rem) 1fr;gap:0 1rem;padding:.22rem 0;border-top:1px solid var(--rule)}
.record dt{color:var(--quiet);overflow-wrap:anywhere}
.record dd{margin:0;overflow-wrap:anywhere;min-width:0}
.record .record>div:first-child{border-top:0}
.record ul{margin:0;padding-left:1.1rem}
@media (min-width:68rem){.chart:only-child{max-width:38rem}}
@media (max-width:40rem){
body{padding:1.8rem 1rem 3rem;font-size:1rem}
h1{font-size:1.65rem}
.lead,.question,.tally{font-size:1.0625rem}
.environment{padding:1rem;margin-left:-.25rem;margin-right:-.25rem}
.environment dl>div{grid-template-columns:1fr;padding:.3rem 0}
.claims th,.claims td{min-width:7.5rem}
.claims tbody th[scope=row]{min-width:9.5rem}
.where{white-space:normal}
.record>div{grid-template-columns:1fr}
.record .record{padding-left:.9rem}
main>section{margin-top:2.8rem}
th,td{padding:.36rem .6rem}
tbody th{max-width:9.5rem;white-space:normal}
.chart .card{padding:.15rem;margin-left:-.25rem;margin-right:-.25rem}
}
@media print{
@page{margin:16mm 14mm}
:root{--paper:#fff;--ink:#000;--quiet:#444;--rule:#bbb;--strong:#000;--link:#000;--tint:#fff;--source:#f3efe4;--source-ink:#4d3b0f;--yes:#0d4a2b;--no:#8a1c20;--unknown:#4d3b0f}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}
html{font-size:9.5pt}
body{padding:0;max-width:none;font-size:1rem;line-height:1.45}
h1{font-size:1.8rem}
.lead,.question,.tally{font-size:1.0625rem}
nav{display:none}
.environment{border:1px solid var(--rule)}
h2,h3,figcaption,.question{break-after:avoid}
.chart figcaption{break-after:auto;break-before:avoid}
.chart,.table,tr,.environment,.notes li{break-inside:avoid}
thead{display:table-header-group}
.scroll,.chart .card{overflow:visible}
.charts{display:block}
.chart .drawing{min-width:0!important;max-width:13cm!important}
table{font-size:8pt;max-width:100%}
th,td{padding:.25rem .4rem}
thead th{min-width:0}
tbody th{position:static;white-space:normal}
.wide table{font-size:6.5pt}
.wide th,.wide td{padding:.2rem .25rem}
td.none,th.none{font-size:inherit;white-space:normal}
pre{max-height:none;overflow:visible;white-space:pre-wrap;overflow-wrap:anywhere;font-size:6.8pt;border:1px solid var(--rule)}
main>section,footer>section{margin-top:1.6rem}
.manifest,.all{font-size:8pt}
}
`;
