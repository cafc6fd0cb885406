//// index.js
let i = 1, x = 3;
log(x<!--i, i);
log(`<!--`, "<!--", /<!--/.source); // <!--
if (x<!--i) log("no"); else log(i)
/* --> */ log(x-->2, x)
//// expect
false 0
"<!--" "<!--" "<!--"
-1
true 2
"done" []
